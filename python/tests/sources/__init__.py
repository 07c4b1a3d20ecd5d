"""Tests of the sources for other engines. A package, because `conftest` of the other tests has the same name."""

"""The exceptions. `mixpanel_data.exceptions` is their public module."""

"""The result types. `mixpanel_data.types` is their public module."""

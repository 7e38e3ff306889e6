"""PxBox: a universal data-entry broker."""

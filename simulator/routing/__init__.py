"""Who gets the lead: values and pure rules. No I/O, no clock, no vendor."""

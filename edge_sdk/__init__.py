"""Edge SDK: from labelled pictures to a small, fast, proven image classifier on a Raspberry Pi, a Jetson or a phone."""

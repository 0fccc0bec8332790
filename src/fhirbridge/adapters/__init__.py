"""The outside world behind the ports: store, EPR, channels, queue, clock."""

"""The gateway: the asynchronous way of a call, from its token to the first byte of its answer."""

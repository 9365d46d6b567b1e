"""Measurements, by `make bench`: each figure beside its peer, interleaved; never asserted.

`make bench ONLY=name` takes one figure; the names stand in `__main__.py`. `ONLY=profile` tells
where the CPU of a call goes. `make bench ONLY=events EVENTS=10000000` fills the store with ten
million events, which takes minutes and about 4 GB on each engine. Ratios are taken side by side, so
that they hold on a busy machine; what a lone call adds (`proxied`) wants a quiet one.

A tool that is lacking (wrk, node) is said in its figure's place, and the rest is measured. The peer
in Node is installed into `.bench/` from `fastify/package-lock.json`.
"""

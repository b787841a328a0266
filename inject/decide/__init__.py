"""A policy at work in the tracer: what a stopped call is, which rule decides it, and what becomes of it."""

# make demo     see it work, on this machine, in namespaces of its own
# make test     everything that has to hold
# make bench    how fast it is, beside others
# make lint     style, types and import rules alone; needs no root
# make clean    remove what the above made here

.PHONY: help setup demo test bench lint clean root
python := .venv/bin/python

help:
	@sed -n 's/^# //p' Makefile

setup:
	@scripts/setup run test

demo: root
	@scripts/setup run
	@scripts/demo

test: root lint
	@$(python) -m pytest $(PYTEST)

bench: root
	@scripts/setup run bench
	@$(python) -m benchmarks $(BENCH)

lint: setup
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

clean:
	rm -rf .venv .peers build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

root:
	@[ "$$(id -u)" = 0 ] || { echo "weft: this makes network namespaces and needs root: sudo make $(MAKECMDGOALS)" >&2; exit 1; }

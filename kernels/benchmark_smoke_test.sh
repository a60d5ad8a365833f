#!/bin/sh
# Runs one small shape of each benchmark once, so that they keep working.
set -eu
"$1" --benchmark_min_time=0 '--benchmark_filter=/F32/16/576/1536/0/1/'
"$2" --benchmark_min_time=0 '--benchmark_filter=/1$'

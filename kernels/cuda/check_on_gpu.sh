#!/bin/sh
# All that a GPU is needed for, on a machine that has one: the tests, the same
# under compute-sanitizer, and the benchmark.
#
#   kernels/cuda/check_on_gpu.sh [tests] [sanitizer] [benchmark]
#
# All three without arguments. The benchmark writes cuda_linear.json in the
# current folder. From the environment:
#   PEFT_CUBLASLT    a libcublasLt.so that the dynamic linker does not find
#   LIBTORCH         a libtorch for CUDA, for the benchmark: the folder torch of
#                    a Python installation
#   LD_LIBRARY_PATH  what libtorch_cuda.so needs and does not find by itself
#   BENCHMARK_ARGS   arguments of the benchmark, such as --quick
# Exits with 0 when all that was asked for has passed; bounds that are not met
# are in the benchmark's output.
set -u
json=$(pwd)/cuda_linear.json
cd "$(dirname "$0")/../.." || exit 2

if ! command -v nvidia-smi >/dev/null || ! nvidia-smi; then
  echo "no GPU: nvidia-smi is missing or finds none" >&2
  exit 2
fi

failed=''

# gpu_tests NAME BAZEL_ARGUMENTS...: tests that run on the GPU, which the
# sandbox may hide, one at a time. The fake's are left out: they run anywhere.
# One that found no GPU, or no cuBLASLt, has passed, too: its log says so.
gpu_tests() {
  name=$1
  shift
  start=$(mktemp)
  ./bazelw test --config=cuda --strategy=TestRunner=local \
    --local_test_jobs=1 --nocache_test_results --keep_going \
    --test_env=PEFT_CUBLASLT --test_env=LD_LIBRARY_PATH \
    --test_filter='*Gpu*:*Real*' "$@" || failed="$failed $name"
  logs=$(find -L bazel-testlogs/kernels/cuda -name test.log -newer "$start" \
    -exec grep -l 'no GPU: ' {} +)
  rm "$start"
  [ -z "$logs" ] && return
  echo "some tests were skipped, which these logs explain:" >&2
  echo "$logs" >&2
  failed="$failed $name-skipped"
}

run_tests() {
  gpu_tests tests --test_output=errors //kernels/cuda/...
  gpu_tests c-api --test_output=errors --test_env=PEFT_TEST_GPU=1 \
    --test_filter='*' //peft_c:cuda_graph_test \
    //peft_c:layer_runner_cuda_limits_test //peft_c:layer_runner_cuda_test
}

run_sanitizer() {
  sanitizer=$(command -v compute-sanitizer)
  if [ -z "$sanitizer" ]; then
    echo "compute-sanitizer is not on PATH: it comes with CUDA's toolkit" >&2
    failed="$failed sanitizer"
    return
  fi
  for tool in memcheck racecheck synccheck initcheck; do
    gpu_tests "$tool" --test_output=errors --test_timeout=3600 \
      --run_under="$sanitizer --tool=$tool --error-exitcode=9" \
      //kernels/cuda:captured_step_test //kernels/cuda:elementwise_test \
      //kernels/cuda:fused_test //kernels/cuda:low_rank_test
  done
}

run_benchmark() {
  # shellcheck disable=SC2086 # several arguments
  ./bazelw run --config=cuda //benchmarks/cuda:cuda_linear -- \
    --json "$json" ${BENCHMARK_ARGS:-} || failed="$failed benchmark"
}

for part in ${*:-tests sanitizer benchmark}; do
  case $part in
    tests | sanitizer | benchmark) "run_$part" ;;
    *)
      echo "usage: $0 [tests] [sanitizer] [benchmark]" >&2
      exit 2
      ;;
  esac
done
if [ -n "$failed" ]; then
  echo "FAILED:$failed" >&2
  exit 1
fi
echo "all of it has passed"

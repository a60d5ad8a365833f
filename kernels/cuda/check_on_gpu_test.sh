#!/bin/sh
# That check_on_gpu.sh runs what it says, and notices what fails: with programs
# in place of Bazel, the driver's and the sanitizer's that only write down how
# they were called.
set -u
folder=$TEST_TMPDIR/tree
log=$TEST_TMPDIR/log
mkdir -p "$folder/kernels/cuda" "$folder/bazel-testlogs/kernels/cuda" \
  "$TEST_TMPDIR/bin"
cp kernels/cuda/check_on_gpu.sh "$folder/kernels/cuda/"

# A program that notes its name and arguments, and exits with what $2 says.
fake() {
  printf '#!/bin/sh\necho "%s $*" >> "%s"\n%s\n' "$(basename "$1")" "$log" \
    "$2" > "$1"
  chmod +x "$1"
}

failures=0
# Runs the script and expects an exit code, $1, and a line of the log or of the
# output that contains $2.
expect() {
  code=$1
  text=$2
  shift 2
  : > "$log"
  output=$(PATH=$TEST_TMPDIR/bin:/usr/bin:/bin \
    "$folder/kernels/cuda/check_on_gpu.sh" "$@" 2>&1)
  found=$?
  if [ $found -ne "$code" ] || ! { cat "$log"; echo "$output"; } |
    grep -q -e "$text"; then
    echo "FAILED: '$*' exited with $found, expected $code and '$text' in:"
    cat "$log"
    echo "$output"
    failures=1
  fi
}

fake "$folder/bazelw" 'exit 0'
fake "$TEST_TMPDIR/bin/nvidia-smi" 'exit 9'
expect 2 'no GPU'
fake "$TEST_TMPDIR/bin/nvidia-smi" 'exit 0'
if ! PATH=/usr/bin:/bin command -v compute-sanitizer > /dev/null; then
  expect 1 'compute-sanitizer is not on PATH'
fi
fake "$TEST_TMPDIR/bin/compute-sanitizer" 'exit 0'
expect 0 'bazelw test --config=cuda .*//kernels/cuda/\.\.\.'
for tool in memcheck racecheck synccheck initcheck; do
  expect 0 "run_under=$TEST_TMPDIR/bin/compute-sanitizer --tool=$tool"
done
expect 0 'PEFT_TEST_GPU=1 .*//peft_c:layer_runner_cuda_test'
expect 0 'bazelw run --config=cuda //benchmarks/cuda:cuda_linear -- --json /'
expect 0 'all of it has passed' tests benchmark
expect 2 'usage' everything

# What an older run has left counts no more.
logs=$folder/bazel-testlogs/kernels/cuda
skips="echo 'no GPU: no cuBLASLt' > '$logs/test.log'"
eval "$skips"
sleep 1
expect 0 'all of it has passed' tests
fake "$folder/bazelw" "sleep 1; $skips"
expect 1 'FAILED: tests-skipped c-api-skipped' tests

fake "$folder/bazelw" 'exit 3'
expect 1 'FAILED: tests c-api' tests
expect 1 'FAILED: memcheck racecheck synccheck initcheck' sanitizer
expect 1 'FAILED: benchmark' benchmark
exit $failures

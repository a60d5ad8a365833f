// The arithmetic: sums in f32, rounded once when they are stored.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "peft_cc/base/dtype.h"
#include "testing/fake_cublaslt/state.h"

namespace peft {
namespace testing {
namespace lt {
namespace {

DType DTypeOf(LtDataType type) {
  if (type == LtDataType::kF16) return DType::kF16;
  if (type == LtDataType::kBF16) return DType::kBF16;
  return DType::kF32;
}

// Matrix `batch` of those that `layout` describes at `data`.
class Matrix {
 public:
  Matrix(const Layout& layout, const void* data, int64_t batch)
      : layout_(layout),
        // Const for factors; Write is called for D alone.
        data_(const_cast<char*>(static_cast<const char*>(data)) +
              batch * layout.batch_stride * SizeOf(layout.type)) {}

  float Read(int64_t row, int64_t col) const {
    float value = 0;
    ConvertToF32(DTypeOf(layout_.type), At(row, col), 1, &value);
    return value;
  }
  void Write(int64_t row, int64_t col, float value) const {
    ConvertFromF32(&value, 1, DTypeOf(layout_.type), At(row, col));
  }

 private:
  char* At(int64_t row, int64_t col) const {
    return data_ + (col * layout_.ld + row) * SizeOf(layout_.type);
  }

  const Layout& layout_;
  char* const data_;
};

float Activate(LtEpilogue epilogue, float x) {
  const auto bits = static_cast<uint32_t>(epilogue);
  if ((bits & static_cast<uint32_t>(LtEpilogue::kRelu)) != 0) {
    return x > 0 ? x : 0.0f;
  }
  if ((bits & static_cast<uint32_t>(LtEpilogue::kGelu)) != 0) {
    constexpr float kFactor = 0.7978845608f;  // sqrt(2 / pi)
    const float inner = kFactor * (x + 0.044715f * x * x * x);
    return 0.5f * x * (1.0f + std::tanh(inner));
  }
  return x;
}

// op(A), or op(B) with the indices swapped.
float ReadFactor(const Matrix& matrix, LtOperation operation, int64_t row,
                 int64_t col) {
  return operation == LtOperation::kNone ? matrix.Read(row, col)
                                         : matrix.Read(col, row);
}

// A sum over `splits` ranges of k, each summed by itself.
float Sum(const Problem& problem, const Matrix& a, const Matrix& b, int64_t row,
          int64_t col, int64_t splits) {
  const int64_t k = problem.k();
  float sum = 0;
  for (int64_t split = 0; split < splits; ++split) {
    float part = 0;
    for (int64_t i = k * split / splits; i < k * (split + 1) / splits; ++i) {
      part += ReadFactor(a, problem.desc->trans_a, row, i) *
              ReadFactor(b, problem.desc->trans_b, i, col);
    }
    sum += part;
  }
  return sum;
}

void MultiplyOne(const Problem& problem, const Operands& operands,
                 int64_t splits, int64_t batch) {
  const Desc& desc = *problem.desc;
  const Matrix a(*problem.a, operands.a, batch);
  const Matrix b(*problem.b, operands.b, batch);
  const Matrix c(*problem.c, operands.c, batch);
  const Matrix d(*problem.d, operands.d, batch);
  const bool vector =
      desc.pointer_mode == LtPointerMode::kAlphaDeviceVectorBetaZero;
  const auto* const alpha = static_cast<const float*>(operands.alpha);
  const float beta = vector ? 0 : *static_cast<const float*>(operands.beta);
  const Layout bias_layout = {
      kMagic, problem.d->type, LtOrder::kColumn,      1, problem.d->rows,
      1,      problem.m(),     desc.bias_batch_stride};
  const bool has_bias = HasBias(desc);
  const Matrix bias(bias_layout, desc.bias, batch);
  for (int64_t col = 0; col < problem.n(); ++col) {
    for (int64_t row = 0; row < problem.m(); ++row) {
      float value =
          alpha[vector ? row : 0] * Sum(problem, a, b, row, col, splits);
      // What is multiplied by 0 is not read: it may be NaN.
      if (beta != 0) value += beta * c.Read(row, col);
      if (has_bias) value += bias.Read(row, 0);
      d.Write(row, col, Activate(desc.epilogue, value));
    }
  }
}

// The same operands and bias, as the host finds them. False where memory was
// freed before its turn came.
bool ResolveAll(const Problem& problem, int64_t workspace_bytes, Desc* desc,
                Operands* operands) {
  constexpr int64_t kSize = sizeof(float);
  bool found = true;
  const auto resolve = [&found](auto** address, int64_t bytes) {
    *address = Resolve(*address, bytes);
    found = found && *address != nullptr;
  };
  resolve(&operands->a, ExtentOf(*problem.a));
  resolve(&operands->b, ExtentOf(*problem.b));
  resolve(&operands->c, ExtentOf(*problem.c));
  resolve(&operands->d, ExtentOf(*problem.d));
  if (HasBias(*desc)) {
    resolve(&desc->bias, problem.m() * SizeOf(problem.d->type));
  }
  if (workspace_bytes > 0) resolve(&operands->workspace, workspace_bytes);
  if (desc->pointer_mode == LtPointerMode::kDevice) {
    resolve(&operands->alpha, kSize);
    resolve(&operands->beta, kSize);
  } else if (desc->pointer_mode != LtPointerMode::kHost) {
    resolve(&operands->alpha, problem.m() * kSize);
  }
  return found;
}

}  // namespace

void Defect(const char* text) {
  if (Settings().defect != nullptr) return Settings().defect(text);
  std::fprintf(stderr, "%s\n", text);
  std::abort();
}

void Multiply(const Problem& problem, const Algo& algo,
              const Operands& operands) {
  int64_t splits = algo.config[static_cast<int>(LtAlgoAttribute::kSplitK)];
  if (splits < 1) splits = 1;
  const int64_t workspace_bytes = splits == 1
                                      ? 0
                                      : splits * problem.m() * problem.n() *
                                            static_cast<int64_t>(sizeof(float));
  Desc desc = *problem.desc;
  Problem host = problem;
  host.desc = &desc;
  Operands found = operands;
  if (!ResolveAll(problem, workspace_bytes, &desc, &found)) {
    return Defect("a product reads or writes memory that was freed");
  }
  for (int32_t batch = 0; batch < problem.d->batch_count; ++batch) {
    MultiplyOne(host, found, splits, batch);
  }
  // A real one keeps its partial sums there: nobody else may.
  if (splits > 1) std::memset(found.workspace, 0xff, workspace_bytes);
}

}  // namespace lt
}  // namespace testing
}  // namespace peft

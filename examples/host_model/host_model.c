/* A program with matrix code of its own gets a PEFT adapter in four ways: the
 * library runs its layers, or adds what the adapter adds to their outputs, or
 * merges it into their weights, or gives its tensors. */
#include <stdio.h>
#include <string.h>

#include "peft_c/peft_c.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum { kRun, kAddDelta, kMerge, kLower };
static const char* const kWays[] = {"run", "delta", "merge", "lower"};

/* The network: fc2(relu(fc1(x))), 4 to 8 to 3 numbers. */
typedef struct layer {
  const char* name;
  int64_t out, in;
  float weight[32], bias[8];
  int64_t number; /* the library's */
} layer_t;
static layer_t net[] = {{"fc1", 8, 4, {0}, {0}, 0}, {"fc2", 3, 8, {0}, {0}, 0}};

/* What a training would have given it. */
static void MakeWeights(void) {
  for (size_t l = 0; l < COUNT(net); ++l) {
    for (int i = 0; i < 32; ++i) {
      net[l].weight[i] = (float)((i * 37 + (int)l) % 17 - 8) / 16.0f;
    }
    for (int i = 0; i < 8; ++i) net[l].bias[i] = (float)(i - 2) / 8.0f;
  }
}

/* y += scale * matrix x, of `rows` rows: the program's own matrix code. */
static void Multiply(const float* matrix, int64_t rows, int64_t cols,
                     float scale, const float* x, float* y) {
  for (int64_t i = 0; i < rows; ++i) {
    float sum = 0;
    for (int64_t k = 0; k < cols; ++k) sum += matrix[i * cols + k] * x[k];
    y[i] += scale * sum;
  }
}

static void RunOwnCode(const layer_t* layer, const float* x, float* y) {
  memcpy(y, layer->bias, (size_t)layer->out * sizeof(float));
  Multiply(layer->weight, layer->out, layer->in, 1, x, y);
}

static peft_tensor_view_t View(const float* data, int32_t rank,
                               const int64_t* sizes) {
  peft_tensor_view_t view = PEFT_TENSOR_VIEW_INIT;
  view.data = data;
  view.dtype = PEFT_DTYPE_F32;
  view.rank = rank;
  view.sizes = sizes;
  return view;
}

/* The adapter's tensors: upload them to a GPU, or use them as they are. */
static peft_status_t* AddLowered(const peft_model_t* model,
                                 const layer_t* layer, const float* x,
                                 float* y) {
  peft_lowered_t* lowered = NULL;
  peft_status_t* s =
      peft_model_lower_layer(model, layer->number, NULL, &lowered);
  for (size_t i = 0; !s && i < peft_lowered_size(lowered); ++i) {
    peft_form_t form = PEFT_FORM_INIT;
    peft_tensor_view_t a = PEFT_TENSOR_VIEW_INIT, b = PEFT_TENSOR_VIEW_INIT;
    float thin[8] = {0}; /* x A^T; this adapter has rank 2 */
    s = peft_lowered_get_form(lowered, i, &form);
    if (!s) s = peft_lowered_get_tensor(lowered, i, PEFT_FORM_TENSOR_A, &a);
    if (!s) s = peft_lowered_get_tensor(lowered, i, PEFT_FORM_TENSOR_B, &b);
    if (s || form.kind != PEFT_FORM_LOW_RANK) break;
    Multiply(a.data, a.sizes[0], a.sizes[1], 1, x, thin);
    Multiply(b.data, b.sizes[0], b.sizes[1], form.scale, thin, y);
  }
  peft_lowered_free(lowered);
  return s;
}

static peft_status_t* RunLayer(int way, const peft_model_t* model,
                               peft_layer_runner_t* runner,
                               const layer_t* layer, const float* x, float* y) {
  const peft_tensor_view_t in = View(x, 1, &layer->in);
  const peft_tensor_view_t out = View(y, 1, &layer->out);
  if (way == kRun) {
    return peft_layer_runner_run(runner, layer->number, &in, NULL, &out);
  }
  RunOwnCode(layer, x, y);
  if (way == kLower) return AddLowered(model, layer, x, y);
  return way == kAddDelta ? peft_layer_runner_add_delta(runner, layer->number,
                                                        &in, NULL, &out)
                          : NULL; /* merged: the own code is all there is */
}

/* Lists the layers. Who needs them not keeps the weights to himself. */
static peft_status_t* CreateModel(int way, peft_model_t** out_model) {
  peft_layer_t layers[COUNT(net)];
  peft_tensor_view_t weights[COUNT(net)], biases[COUNT(net)];
  int64_t sizes[COUNT(net)][2];
  for (size_t l = 0; l < COUNT(net); ++l) {
    const int is_hidden = way == kAddDelta || way == kLower;
    sizes[l][0] = net[l].out;
    sizes[l][1] = net[l].in;
    weights[l] = View(is_hidden ? NULL : net[l].weight, 2, sizes[l]);
    biases[l] = View(net[l].bias, 1, &net[l].out);
    peft_layer_init(&layers[l], sizeof(layers[l]));
    layers[l].name = net[l].name;
    layers[l].kind = PEFT_LAYER_LINEAR;
    layers[l].weight = &weights[l];
    layers[l].bias = &biases[l];
    layers[l].copy_weights = 0;
    layers[l].writable_weights = way == kMerge;
  }
  return peft_model_create(layers, COUNT(layers), NULL, out_model);
}

static peft_status_t* RunNetwork(int way, const char* adapter, float* y) {
  const float x[4] = {1.0f, -2.0f, 3.0f, 0.5f};
  float hidden[8];
  peft_model_t* model = NULL;
  peft_layer_runner_t* runner = NULL;
  peft_status_t* s = CreateModel(way, &model);
  if (!s) s = peft_model_load_adapter(model, "a", adapter, NULL, NULL);
  if (!s) s = peft_layer_runner_create(model, &runner);
  for (size_t l = 0; !s && l < COUNT(net); ++l) {
    s = peft_model_find_layer(model, net[l].name, -1, &net[l].number);
  }
  if (!s && way == kMerge) s = peft_model_merge_adapter(model, NULL, 0, NULL);
  if (!s) s = RunLayer(way, model, runner, &net[0], x, hidden);
  for (int i = 0; i < 8; ++i) hidden[i] = hidden[i] > 0 ? hidden[i] : 0;
  if (!s) s = RunLayer(way, model, runner, &net[1], hidden, y);
  if (!s && way == kMerge) s = peft_model_unmerge_adapter(model);
  peft_layer_runner_free(runner);
  peft_model_free(model);
  return s;
}

int main(int argc, char** argv) {
  if (argc != 2) return fprintf(stderr, "usage: host_model ADAPTER\n"), 2;
  MakeWeights();
  for (int way = kRun; way <= kLower; ++way) {
    float y[3] = {0};
    peft_status_t* s = RunNetwork(way, argv[1], y);
    if (s) return fprintf(stderr, "%s\n", peft_status_message(s)), 1;
    printf("%-6s %.4f %.4f %.4f\n", kWays[way], y[0], y[1], y[2]);
  }
  return 0;
}

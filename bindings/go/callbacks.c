#include "peft_go.h"

void peft_go_log(void* user_data, int32_t level, const char* line) {
  peftGoLog(user_data, level, (char*)line);
}

int32_t peft_go_transport(void* user_data, const peft_http_request_t* request,
                          peft_exchange_t* exchange) {
  return peftGoTransport(user_data, (peft_http_request_t*)request, exchange);
}

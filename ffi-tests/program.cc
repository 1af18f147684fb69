// The header as C++17 has it: a map with a subscriber whose user data is an object.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "nsgate.h"

namespace {

nsgate_string view(const std::string &text) { return {text.data(), text.size()}; }

struct Log {
  std::vector<std::string> lines;
};

nsgate_status on_insert(void *user_data, nsgate_sandbox sandbox, void *, void *) {
  nsgate_sandbox_details details{};
  details.size = sizeof details;
  if (nsgate_sandbox_info(sandbox, &details, nullptr) != NSGATE_OK) return NSGATE_CALLBACK_FAILED;
  static_cast<Log *>(user_data)->lines.emplace_back(details.lifecycle_id);
  return NSGATE_OK;
}

bool destroyed = false;
void destroy(void *user_data) {
  destroyed = true;
  delete static_cast<Log *>(user_data);
}

}  // namespace

int main() {
  nsgate_error error{};
  nsgate_gate gate{};
  nsgate_map map{};
  nsgate_sandbox sandbox{};
  std::uint64_t subscription = 0;
  std::uint32_t changed = 0;
  if (nsgate_gate_open(nullptr, &gate, &error) != NSGATE_OK) return 1;
  if (nsgate_map_create(gate, &map, &error) != NSGATE_OK) return 2;
  auto log = std::make_unique<Log>();
  nsgate_subscriber subscriber{};
  subscriber.size = sizeof subscriber;
  subscriber.user_data = log.get();
  subscriber.destroy = destroy;
  subscriber.on_insert = on_insert;
  if (nsgate_map_subscribe(map, NSGATE_STR("log"), &subscriber, &subscription, &error) != NSGATE_OK) return 3;
  Log *seen = log.release();
  const std::string life = "life-1";
  if (nsgate_map_register(map, NSGATE_STR("one"), view(life), nullptr, nullptr, &sandbox, &error) != NSGATE_OK) return 4;
  if (nsgate_sandbox_mark_running(sandbox, nullptr, &changed, &error) != NSGATE_OK || changed != 1) return 5;
  if (seen->lines != std::vector<std::string>{life}) return 6;
  if (nsgate_map_unsubscribe_wait(map, subscription, &error) != NSGATE_OK || !destroyed) return 7;
  if (nsgate_sandbox_free(sandbox, &error) != NSGATE_OK || nsgate_map_free(map, &error) != NSGATE_OK) return 8;
  if (nsgate_gate_close(gate, NSGATE_NO_DEADLINE, nullptr, &error) != NSGATE_OK) return 9;
  return nsgate_gate_free(gate, &error);
}

#include <iostream>

#include "counter.troupe.h"
#include "troupe/actors/client.h"
#include "troupe/runtime/uv_machine.h"

int main(int argc, char** argv) {
  auto machine = troupe::UvMachine::Create({.node = "count"}).value();
  troupe::Client client(machine->control(), {.nodes = {argv + 1, argv + argc}});
  auto visits = client.Get<Counter>("visits");
  std::cout << visits << " is " << visits.Add().Wait(machine->wait_scope()) << "\n";
}

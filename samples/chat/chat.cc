// troupe-chat ROOM NAME HOST:PORT...: says each line of its input in the room, and prints what is
// said there.
#include <iostream>
#include <string>

#include "chat.troupe.h"
#include "troupe/actors/client.h"
#include "troupe/actors/topic.h"
#include "troupe/runtime/uv_machine.h"

class Screen final : public Guest::Actor {
  Task<void> Said(std::string who, std::string text) override {
    std::cout << who << ": " << text << std::endl;
    co_return;
  }
};

troupe::Task<void> Chat(troupe::Client& client, troupe::Host& host, std::string name,
                        std::string room) {
  auto screen = client.Observe<Screen>();
  auto guests = client.Topic<Guest>(room);
  auto subscription = co_await guests.Subscribe(screen);
  std::cerr << "in " << room << std::endl;
  std::string line;
  auto read = [&line] { std::getline(std::cin, line); };
  while (true) {
    auto typed = host.Offload(read);
    co_await typed;
    if (!std::cin) co_return;
    auto said = guests.Publish([&](auto& all) { all.Said(name, line); });
    co_await said;
  }
}

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: " << argv[0] << " ROOM NAME HOST:PORT...\n";
    return 2;
  }
  auto machine = troupe::UvMachine::Create({.node = "chat"}).value();
  troupe::Client client(machine->control(), {.nodes = {argv + 3, argv + argc}});
  Chat(client, machine->control(), argv[2], argv[1]).Wait(machine->wait_scope());
}

// Writes the first inputs of each fuzz target's corpus: what our own encoders make.
//
//   make_corpus tests/fuzz/corpus
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "capnp/serialize.h"
#include "troupe/actors/call.h"
#include "troupe/actors/replica_codec.h"
#include "troupe/membership/cluster_codec.h"
#include "troupe/membership/gossip_codec.h"
#include "troupe/membership/register_codec.h"
#include "troupe/rpc/link.h"
#include "troupe/rpc/wire.capnp.h"

namespace troupe {
namespace {

using Text = std::string;

Text Of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
Text Of(capnp::MessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  const auto bytes = words.asBytes();
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}
// As fuzz::TakePiece reads it.
Text Piece(const Text& bytes) {
  return Text{static_cast<char>(bytes.size() & 0xff), static_cast<char>(bytes.size() >> 8)} + bytes;
}
template <typename Number>
Text Little(Number number) {
  Text out;
  for (size_t i = 0; i < sizeof number; ++i) out.push_back(static_cast<char>(number >> (8 * i)));
  return out;
}

class Corpus {
 public:
  explicit Corpus(std::filesystem::path root) : root_(std::move(root)) {}
  void Write(const Text& target, const Text& name, const Text& bytes) {
    std::filesystem::create_directories(root_ / target);
    std::ofstream(root_ / target / name, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path root_;
};

// ---- Gossip.

Member Someone(MemberState state) {
  Member member;
  member.id = {"b", {3, 4}, 9};
  member.state = state;
  member.incarnation = 2;
  member.rpc_address = member.gossip_address = "10.0.0.2:1";
  if (state != MemberState::kAlive) member.accuser = "c";
  return member;
}

void WriteDatagrams(Corpus& corpus) {
  GossipHeader header;
  header.sender = {"b", {3, 4}, 9};
  header.cluster = {5, 5};
  auto write = [&](const Text& name, GossipBody body, std::vector<Member> updates) {
    corpus.Write("datagram", name, Piece(Of(Encode(GossipDatagram{header, body, updates}))));
  };
  write("gossip", GossipOnly{}, {Someone(MemberState::kAlive), Someone(MemberState::kSuspect)});
  write("ping", Ping{1, "me", {1, 2}}, {});
  write("ack", PingAck{1, {1, 2}}, {Someone(MemberState::kDead)});
  write("ping_req", PingReq{1, "me", {1, 2}}, {Someone(MemberState::kLeft)});
  write("nack", Nack{1}, {});
  corpus.Write("datagram", "push_pull",
               Piece(Of(Encode(PushPull{header, {Someone(MemberState::kAlive)}}))));
}

// ---- Register.

ClusterState ThreeNodes() {
  std::vector<Founder> founders(3);
  for (size_t i = 0; i < 3; ++i) {
    founders[i].name = Text(1, static_cast<char>('a' + i));
    founders[i].nonce = {7, i + 1};
    founders[i].addresses = {"10.0.0.1:1"};
    founders[i].types = {{77, "Word"}};
  }
  ClusterConfig config;
  config.shards = 2;
  return Found({1, 1}, config, std::move(founders));
}

void WriteRegister(Corpus& corpus) {
  const auto state = ThreeNodes();
  const auto& a = state.nodes.at(0);
  const std::vector<std::pair<Text, Command>> commands = {
      {"register",
       Register{"d", {8, 8}, 0, false, {"10.0.0.4:1"}, "z", {"r"}, {9, 9}, {{77, "Word"}}}},
      {"register_another",
       Register{"d", {8, 8}, 0, false, {"10.0.0.4:1"}, "", {}, {}, {{78, "Page"}}}},
      {"fence", Fence{a.name, a.boot, a.generation, Fence::Grounds::kProofOfDeath}},
      {"unfence", Unfence{a.name, a.boot, a.generation}},
      {"alter_isr", AlterIsr{0, 1, 1, 1, {1, 2}}},
      {"add_learner", AddLearner{0, 1, 3}},
      {"move_primary", MovePrimary{0, 1, 1, 1, 2}},
      {"drain", Drain{a.name, a.boot}},
      {"leave", Leave{a.name, a.boot}},
      {"recover", Recover{0, 1}},
      {"declare_lost", DeclareLost{0, 1, 1}},
      {"voters", SetPendingVoters{state.voters, {state.voters.at(0)}}},
      {"config", SetConfig{2, 1}},
  };
  const Text value = Piece(Of(Encode(state)));
  for (const auto& [name, command] : commands) {
    corpus.Write("register", "command_" + name, value + Piece(Of(Encode(command))));
  }
  if (auto next = Apply(state, commands[0].second); next.ok()) {
    corpus.Write("register", "difference", value + Piece(Of(Diff(state, next->state))));
  }
  const auto voter = state.voters.at(0);
  const auto ballot = Ballot{1, "a", {7, 1}};
  corpus.Write("register", "prepare",
               Piece(Of(Encode(AddressedRequest{voter, PrepareRequest{ballot, 0}}))));
  AcceptRequest accept{ballot, Ballot{2, "a", {7, 1}}, ValueOf(state), 0};
  corpus.Write("register", "accept", Piece(Of(Encode(AddressedRequest{voter, accept}))));
  corpus.Write(
      "register", "promised",
      Piece(Of(Encode(AddressedReply{voter, PromisedReply{ballot, ballot, ValueOf(state)}}))));
  corpus.Write("register", "file",
               Piece(Of(Encode(StoredAcceptor{
                   voter, AcceptorState{ballot, ballot, ValueOf(state), ValueOf(state)}}))));
}

// ---- Streams.

Text Frame(uint16_t kind, const Text& header, const Text& payload = "") {
  return Little(static_cast<uint32_t>(header.size() / 8)) +
         Little(static_cast<uint32_t>(payload.size() / 8)) + Little(kind) + Text(2, '\0') +
         Little(uint32_t{1}) + header + payload;
}

Text Hello() {
  Introduction introduction;
  introduction.node = "b";
  introduction.nonce = {2, 2};
  introduction.cluster = {5, 5};
  capnp::MallocMessageBuilder message;
  Encode(introduction, message.initRoot<wire::Hello>());
  return Of(message);
}

Text Call() {
  CallHeader header;
  header.id = ClientCall{{1, 2}, 3, 1};
  header.actor = {0x1234, "key"};
  header.interface_id = 0x1234;
  capnp::MallocMessageBuilder message;
  EncodeCall(1, header, absl::Seconds(3), message.initRoot<wire::CallFrame>());
  return Of(message);
}

void WriteStreams(Corpus& corpus) {
  const Text preamble = Text("TROUPE\r\n") + Text("\1\0\0\0\0\0\0\0", 8);
  corpus.Write("hello", "hello", preamble + Frame(wire::KIND_HELLO, Hello()));
  corpus.Write("hello", "welcome", Frame(wire::KIND_WELCOME, Hello()));
  corpus.Write("hello", "other", "GET / HTTP/1.1\r\n\r\n");
  capnp::MallocMessageBuilder refusal;
  refusal.initRoot<wire::Refusal>().setDetail("no");
  corpus.Write("hello", "refusal", Frame(wire::KIND_REFUSAL, Of(refusal)));
  corpus.Write("frame", "hello", Text(1, '\7') + Frame(wire::KIND_HELLO, Hello()));
  corpus.Write("frame", "call", Text(1, '\0') + Frame(wire::KIND_CALL, Call(), Hello()));
  capnp::MallocMessageBuilder answer;
  answer.initRoot<wire::AnswerFrame>().initFailure().setText("no");
  corpus.Write("frame", "answer", Text(1, '\0') + Frame(wire::KIND_ANSWER, Of(answer)));
}

// ---- Replication.

SharedUpdate Update(ActorUpdate::Kind kind) {
  ActorUpdate update;
  update.actor = {0x1234, "key"};
  update.kind = kind;
  update.version = {2, 2};
  update.base = {2, 1};
  update.state = std::make_shared<const Text>("state of eight bytes....");
  RecordTable records;
  records.Add(absl::FromUnixSeconds(1000), ClientCall{{1, 2}, 3, 1}, 7, RecordStatus::kOk, "yes");
  records.Add(absl::FromUnixSeconds(1000), ActorCall{{0x1234, "other"}, 1, 1, 4, 2, {5, 6}}, 7,
              RecordStatus::kError, "no");
  update.records = records.TakeWhole();
  return std::make_shared<const ActorUpdate>(std::move(update));
}

void WriteSnapshots(Corpus& corpus) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  auto write = [&](const Text& name, ReplicaBody body) {
    ReplicaMessage message;
    message.lineage = 1;
    message.epoch = 1;
    message.primary = 1;
    message.target = 2;
    message.body = std::move(body);
    capnp::MallocMessageBuilder out;
    Encode(message, now, out.initRoot<wire::ReplicaMessage>());
    corpus.Write("snapshot", name, Piece(Of(out)));
    capnp::MallocMessageBuilder frame;
    Encode(message, now, frame.initRoot<wire::ReplicaFrame>().initMessages(1)[0]);
    corpus.Write("frame", "replica_" + name, Text(1, '\0') + Frame(wire::KIND_REPLICA, Of(frame)));
  };
  write("heartbeat", Heartbeat{});
  write("batch", Batch{2, 0, 1, {Update(ActorUpdate::Kind::kImage)}});
  write("delta", Batch{3, 0, 1, {Update(ActorUpdate::Kind::kDelta)}});
  write("tombstone", Batch{1, 0, 1, {Update(ActorUpdate::Kind::kTombstone)}});
  write("report_request", ReportRequest{ReportRequest::Scope::kAll, 1});
  write("snapshot", Snapshot{1, 2, 0, true, {Update(ActorUpdate::Kind::kImage)}});
  write("ack", Ack{SyncState::kSynced, 1, 0, 0, 5, 1});
  write("reject", Reject{2});
  write("report", Report{1, 0, true, {1, 1}, {{{0x1234, "key"}, {1, 1}}}});
}

}  // namespace
}  // namespace troupe

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  troupe::Corpus corpus(argv[1]);
  troupe::WriteDatagrams(corpus);
  troupe::WriteRegister(corpus);
  troupe::WriteStreams(corpus);
  troupe::WriteSnapshots(corpus);
}

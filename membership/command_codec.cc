// Commands as bytes; see cluster_codec.h.
#include <algorithm>

#include "troupe/membership/cluster_codec.h"
#include "troupe/membership/codec_parts.h"

namespace troupe {
namespace {

using codec::ReadId;
using codec::ReadText;
using codec::ReadVoters;
using codec::WriteId;
using codec::WriteVoters;

template <typename Ref>  // Unfence, Drain, Leave, Fence: all name a process.
void WriteRef(const Ref& c, wire::Command::NodeRef::Builder out) {
  out.setNode(codec::AsText(c.node));
  out.setBoot(c.boot);
  if constexpr (requires { c.generation; }) out.setGeneration(c.generation);
}

template <typename Ref>
absl::StatusOr<Command> ReadRef(wire::Command::NodeRef::Reader in, Ref c = {}) {
  TROUPE_TAKE(c.node, ReadText(in.getNode()));
  c.boot = in.getBoot();
  if constexpr (requires { c.generation; }) c.generation = in.getGeneration();
  return c;
}

template <typename Learner>
void WriteLearner(const Learner& c, wire::Command::Learner::Builder out) {
  out.setShard(c.shard);
  out.setEpoch(c.epoch);
  out.setCopy(c.copy);
}

struct Writer {
  wire::Command::Builder out;

  void operator()(const Register& c) {
    const bool durable = std::any_of(c.types.begin(), c.types.end(),
                                     [](const HostedType& type) { return type.durable; });
    auto o = durable ? out.initRegisterDurable() : out.initRegister();
    o.setNode(codec::AsText(c.node));
    WriteId(c.nonce, o.initNonce());
    o.setReplaces(c.replaces);
    o.setHoldsDataLock(c.holds_data_lock);
    codec::WriteTexts(c.addresses, o.initAddresses(c.addresses.size()));
    o.setZone(codec::AsText(c.zone));
    codec::WriteTexts(c.roles, o.initRoles(c.roles.size()));
    WriteId(c.storage, o.initStorage());
    codec::WriteTypes(c.types, o.initTypes(c.types.size()));
  }
  void operator()(const Fence& c) {
    auto o = out.initFence();
    WriteRef(c, o.initRef());
    o.setProofOfDeath(c.grounds == Fence::Grounds::kProofOfDeath);
  }
  void operator()(const Unfence& c) { WriteRef(c, out.initUnfence()); }
  void operator()(const AlterIsr& c) {
    auto o = out.initAlterIsr();
    o.setShard(c.shard);
    o.setPrimary(c.primary);
    o.setEpoch(c.epoch);
    o.setIsrVersion(c.isr_version);
    codec::WriteNumbers(c.isr, o.initIsr(c.isr.size()));
  }
  void operator()(const AddLearner& c) { WriteLearner(c, out.initAddLearner()); }
  void operator()(const RemoveLearner& c) { WriteLearner(c, out.initRemoveLearner()); }
  void operator()(const MovePrimary& c) {
    auto o = out.initMovePrimary();
    o.setShard(c.shard);
    o.setEpoch(c.epoch);
    o.setIsrVersion(c.isr_version);
    o.setFrom(c.from);
    o.setTo(c.to);
  }
  void operator()(const Drain& c) { WriteRef(c, out.initDrain()); }
  void operator()(const Leave& c) { WriteRef(c, out.initLeave()); }
  void operator()(const Recover& c) {
    auto o = out.initRecover();
    o.setShard(c.shard);
    o.setLineage(c.lineage);
  }
  void operator()(const DeclareLost& c) {
    auto o = out.initDeclareLost();
    o.setShard(c.shard);
    o.setLineage(c.lineage);
    o.setEpoch(c.epoch);
  }
  void operator()(const SetPendingVoters& c) {
    auto o = out.initSetPendingVoters();
    WriteVoters(c.from, o.initFrom(c.from.size()));
    WriteVoters(c.to, o.initTo(c.to.size()));
  }
  void operator()(const AdoptPendingVoters& c) {
    WriteVoters(c.pending, out.initAdoptPendingVoters(c.pending.size()));
  }
  void operator()(const SetConfig& c) {
    auto o = out.initSetConfig();
    o.setReplicas(c.replicas);
    o.setMinIsrSetting(c.min_isr_setting);
  }
};

absl::StatusOr<Command> ReadRegister(wire::Command::Register::Reader in) {
  Register c;
  TROUPE_TAKE(c.node, ReadText(in.getNode()));
  c.nonce = ReadId(in.getNonce());
  c.replaces = in.getReplaces();
  c.holds_data_lock = in.getHoldsDataLock();
  TROUPE_TAKE(c.addresses, codec::ReadTexts(in.getAddresses(), kAddressesMax));
  TROUPE_TAKE(c.zone, ReadText(in.getZone()));
  TROUPE_TAKE(c.roles, codec::ReadTexts(in.getRoles(), kRolesMax));
  c.storage = ReadId(in.getStorage());
  TROUPE_TAKE(c.types, codec::ReadTypes(in.getTypes()));
  return c;
}

absl::StatusOr<Command> ReadFence(wire::Command::Fence::Reader in) {
  Fence c;
  c.grounds = in.getProofOfDeath() ? Fence::Grounds::kProofOfDeath : Fence::Grounds::kEvidence;
  return ReadRef(in.getRef(), c);
}

absl::StatusOr<Command> ReadAlterIsr(wire::Command::AlterIsr::Reader in) {
  AlterIsr c;
  c.shard = in.getShard();
  c.primary = in.getPrimary();
  c.epoch = in.getEpoch();
  c.isr_version = in.getIsrVersion();
  TROUPE_TAKE(c.isr, codec::ReadNumbers(in.getIsr(), kCopiesMax));
  return c;
}

absl::StatusOr<Command> ReadSetPending(wire::Command::SetPendingVoters::Reader in) {
  SetPendingVoters c;
  TROUPE_TAKE(c.from, ReadVoters(in.getFrom()));
  TROUPE_TAKE(c.to, ReadVoters(in.getTo()));
  return c;
}

absl::StatusOr<Command> ReadAdopt(capnp::List<wire::Voter>::Reader in) {
  AdoptPendingVoters c;
  TROUPE_TAKE(c.pending, ReadVoters(in));
  return c;
}

}  // namespace

void Write(const Command& command, wire::Command::Builder out) { std::visit(Writer{out}, command); }

absl::StatusOr<Command> Read(wire::Command::Reader in) {
  using W = wire::Command;
  switch (in.which()) {
    case W::REGISTER:
      return ReadRegister(in.getRegister());
    case W::REGISTER_DURABLE:
      return ReadRegister(in.getRegisterDurable());
    case W::FENCE:
      return ReadFence(in.getFence());
    case W::UNFENCE:
      return ReadRef<Unfence>(in.getUnfence());
    case W::ALTER_ISR:
      return ReadAlterIsr(in.getAlterIsr());
    case W::ADD_LEARNER: {
      auto c = in.getAddLearner();
      return AddLearner{c.getShard(), c.getEpoch(), c.getCopy()};
    }
    case W::REMOVE_LEARNER: {
      auto c = in.getRemoveLearner();
      return RemoveLearner{c.getShard(), c.getEpoch(), c.getCopy()};
    }
    case W::MOVE_PRIMARY: {
      auto c = in.getMovePrimary();
      return MovePrimary{c.getShard(), c.getEpoch(), c.getIsrVersion(), c.getFrom(), c.getTo()};
    }
    case W::DRAIN:
      return ReadRef<Drain>(in.getDrain());
    case W::LEAVE:
      return ReadRef<Leave>(in.getLeave());
    case W::RECOVER: {
      auto c = in.getRecover();
      return Recover{c.getShard(), c.getLineage()};
    }
    case W::DECLARE_LOST: {
      auto c = in.getDeclareLost();
      return DeclareLost{c.getShard(), c.getLineage(), c.getEpoch()};
    }
    case W::SET_PENDING_VOTERS:
      return ReadSetPending(in.getSetPendingVoters());
    case W::ADOPT_PENDING_VOTERS:
      return ReadAdopt(in.getAdoptPendingVoters());
    case W::SET_CONFIG: {
      auto c = in.getSetConfig();
      return SetConfig{c.getReplicas(), c.getMinIsrSetting()};
    }
  }
  return absl::UnimplementedError("a command of a kind this program does not know");
}

Bytes Encode(const Command& command) {
  capnp::MallocMessageBuilder message;
  Write(command, message.initRoot<wire::Command>());
  return codec::ToBytes(message);
}

absl::StatusOr<Command> DecodeCommand(std::span<const std::byte> bytes) {
  return codec::Parse<wire::Command>(bytes, [](wire::Command::Reader in) { return Read(in); });
}

}  // namespace troupe

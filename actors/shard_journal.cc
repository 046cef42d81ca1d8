#include "troupe/actors/shard_journal.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capnp/message.h"
#include "capnp/serialize.h"
#include "troupe/actors/disk.capnp.h"
#include "troupe/actors/update_codec.h"
#include "troupe/rpc/status.h"
#include "troupe/rpc/words.h"

namespace troupe {
namespace {

using replica_codec::DecodeUpdates;
using replica_codec::EncodeUpdates;
using replica_codec::Malformed;

constexpr uint32_t kFormat = 1;

// Keys: "s", the shard, then "a" with an actor and the index of one of its records (0: the image or
// tombstone), or "m", of which there is one. Numbers are big-endian, so that they sort.
constexpr char kShards = 's';
constexpr char kActor = 'a';
constexpr char kMeta = 'm';
constexpr size_t kPrefixBytes = 1 + 4;

template <typename Number>
void Append(std::string& out, Number number) {
  for (size_t i = sizeof number; i > 0; --i) {
    out.push_back(static_cast<char>(number >> (8 * (i - 1)) & 0xff));
  }
}

uint32_t LastIndex(std::string_view key) {
  uint32_t index = 0;
  for (char c : key.substr(key.size() - sizeof index)) {
    index = index << 8 | static_cast<unsigned char>(c);
  }
  return index;
}

std::string PrefixOf(ShardId shard) {
  std::string key(1, kShards);
  Append(key, static_cast<uint32_t>(shard));
  return key;
}

std::string KeyOf(ShardId shard, const ActorId& actor, uint32_t index) {
  std::string key = PrefixOf(shard);
  key.push_back(kActor);
  Append(key, actor.type);
  Append(key, static_cast<uint32_t>(actor.key.size()));
  key += actor.key;
  Append(key, index);
  return key;
}

std::string ToText(capnp::MessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  const auto chars = words.asChars();
  return {chars.begin(), chars.size()};
}

capnp::ReaderOptions Trusting() {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = uint64_t{1} << 32;  // It is what this node wrote.
  return options;
}

// Reads what Scan() shows.
class Reading {
 public:
  Reading(Id128 cluster, absl::Time now) : cluster_(cluster), now_(now) {}

  void Take(std::string_view key, std::string_view value) {
    const auto words = CopyWords(value);
    capnp::FlatArrayMessageReader message(words, Trusting());
    if (key.substr(kPrefixBytes) == std::string_view(&kMeta, 1)) {
      return TakeMeta(message.getRoot<wire::DiskShard>());
    }
    const auto updates = DecodeUpdates(message.getRoot<wire::DiskUpdates>().getUpdates(), now_);
    for (const SharedUpdate& update : updates) {
      const uint32_t index = LastIndex(key);
      const bool kept = copy_.store.Apply(*update) == ActorStore::Outcome::kApplied;
      const bool follows = (index == 0) == (update->kind != ActorUpdate::Kind::kDelta);
      if (!kept || !follows) throw Malformed{"an update that does not follow the one before it"};
      copy_.book.Know(*update, index);
    }
    ++records_;
  }

  RestoredCopy Finish() {
    if (copy_.lineage == 0 && records_ > 0)
      throw Malformed{"actors, and nothing that says of when"};
    copy_.store.RaiseMark(mark_);
    copy_.store.AgeRecords(now_);
    return std::move(copy_);
  }

 private:
  void TakeMeta(wire::DiskShard::Reader in) {
    if (in.getFormat() != kFormat) {
      throw Malformed{absl::StrCat("format ", in.getFormat(), ", this program reads ", kFormat,
                                   ": start a program as new as the one that wrote it")};
    }
    const Id128 cluster{in.getClusterHi(), in.getClusterLo()};
    if (cluster != cluster_) {
      throw Malformed{absl::StrCat(
          "state of cluster ", cluster.ToString(), ", this node is in ", cluster_.ToString(),
          ": give it the data directory of this cluster, or an empty one")};
    }
    copy_.lineage = in.getLineage();
    copy_.position = {in.getEpoch(), in.getSeq()};
    mark_ = {in.getMarkEpoch(), in.getMarkSeq()};
  }

  const Id128 cluster_;
  const absl::Time now_;
  RestoredCopy copy_;
  Version mark_;
  size_t records_ = 0;
};

}  // namespace

ShardJournal::ShardJournal(Host& host, RecordStore& records, ShardId shard, Id128 cluster)
    : host_(host), records_(records), shard_(shard), cluster_(cluster) {}

kj::Promise<RestoredCopy> ShardJournal::Load() {
  struct Job {
    Reading reading;
    RestoredCopy copy;
  };
  auto job = std::make_shared<Job>(Job{Reading(cluster_, host_.clock().Now()), {}});
  auto read = [job, &records = records_, shard = shard_] {
    std::optional<std::string> problem;
    auto show = [&](std::string_view key, std::string_view value) {
      if (problem.has_value()) return;
      try {
        job->reading.Take(key, value);
      } catch (const Malformed& malformed) {
        problem = malformed.what;
      } catch (const kj::Exception& e) {
        problem = Words(e);
      }
    };
    const absl::Status scanned = records.Scan(PrefixOf(shard), PrefixOf(shard + 1), show);
    if (!scanned.ok()) problem = std::string(scanned.message());
    try {
      if (!problem.has_value()) job->copy = job->reading.Finish();
    } catch (const Malformed& malformed) {
      problem = malformed.what;
    }
    if (!problem.has_value()) return;
    kj::throwFatalException(Failed(absl::StrCat(
        "the copy of shard ", shard, " on disk cannot be used: ", *problem,
        ". Where other copies are in sync, an empty data directory lets this node begin anew")));
  };
  return host_.Offload(std::move(read)).then([job] { return std::move(job->copy); });
}

kj::Promise<void> ShardJournal::Write(const DiskWrite& write) {
  std::vector<RecordChange> changes;
  if (write.anew) changes.push_back(EraseRecords{PrefixOf(shard_), PrefixOf(shard_ + 1)});
  auto erase = [&](const ActorId& actor, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i <= to; ++i) changes.push_back(EraseRecord{KeyOf(shard_, actor, i)});
  };
  const absl::Time now = host_.clock().Now();
  for (const DiskWrite::Put& put : write.puts) {
    erase(put.update->actor, 1, put.erased);
    capnp::MallocMessageBuilder message;
    EncodeUpdates({put.update}, now, message.initRoot<wire::DiskUpdates>().initUpdates(1));
    changes.push_back(PutRecord{KeyOf(shard_, put.update->actor, put.index), ToText(message)});
  }
  for (const DiskWrite::Erase& gone : write.erased) erase(gone.actor, 0, gone.deltas);

  capnp::MallocMessageBuilder message;
  auto meta = message.initRoot<wire::DiskShard>();
  meta.setFormat(kFormat);
  meta.setClusterHi(cluster_.hi);
  meta.setClusterLo(cluster_.lo);
  meta.setLineage(write.lineage);
  meta.setEpoch(write.position.epoch);
  meta.setSeq(write.position.seq);
  meta.setMarkEpoch(write.mark.epoch);
  meta.setMarkSeq(write.mark.seq);
  std::string key = PrefixOf(shard_);
  key.push_back(kMeta);
  changes.push_back(PutRecord{std::move(key), ToText(message)});
  return records_.Write(host_, std::move(changes));
}

EraseRecords ShardJournal::AllShards() {
  return {std::string(1, kShards), std::string(1, kShards + 1)};
}

kj::Promise<void> ShardJournal::Erase() {
  std::vector<RecordChange> changes;
  changes.push_back(EraseRecords{PrefixOf(shard_), PrefixOf(shard_ + 1)});
  return records_.Write(host_, std::move(changes));
}

}  // namespace troupe

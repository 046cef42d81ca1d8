// DiaryActor: what diary.capnp says, with habits that the seed has drawn.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "troupe/actors/actor.h"
#include "troupe/runtime/task.h"
#include "troupe/sim/diary.h"

namespace troupe::sim {

inline constexpr char kTower[] = "tower";
inline constexpr absl::Duration kBellEvery = absl::Seconds(1);

class DiaryActor final : public Actor<Diary, DiaryState> {
 public:
  explicit DiaryActor(std::shared_ptr<DiaryHabits> habits) : habits_(std::move(habits)) {}

 private:
  Task<void> OnActivate() override;
  Task<void> OnDeactivate() override;
  Task<void> OnReminder(const DueReminder& reminder) override { return Serve(reminder); }
  Task<void> Serve(DueReminder reminder);
  kj::Promise<void> Tick();

  kj::Promise<void> add(AddContext call) override;
  kj::Promise<void> look(LookContext call) override;
  kj::Promise<void> erase(EraseContext call) override;
  kj::Promise<void> fail(FailContext call) override;
  kj::Promise<void> ring(RingContext call) override;
  kj::Promise<void> tell(TellContext call) override;

  void Note(int64_t due);
  void Save(DiaryState::Builder out) const override;
  void Load(DiaryState::Reader in) override;
  std::string Key() { return std::string(context().key()); }

  const std::shared_ptr<DiaryHabits> habits_;
  uint64_t value_ = 0, ticked_ = 0, parted_ = 0;
  std::vector<int64_t> served_;
  std::vector<std::pair<std::string, int64_t>> rung_;
  std::map<std::string, uint64_t> orders_;
  std::string wrong_;
  ActorTimer timer_;
};

}  // namespace troupe::sim

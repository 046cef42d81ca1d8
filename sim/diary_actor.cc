#include "troupe/sim/diary_actor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe::sim {
namespace {

constexpr absl::Duration kTickEvery = absl::Milliseconds(300);

kj::Promise<void> Refuse(kj::StringPtr what) {
  return KJ_EXCEPTION(FAILED, "a diary is told to fail", what);
}

}  // namespace

// ---- Its life

Task<void> DiaryActor::OnActivate() {
  if (Key() == kTower) return kj::READY_NOW;
  context().SetReminder("bell", {.every = kBellEvery, .catch_up = CatchUp::kAll});
  if (habits_->Fails()) return Refuse("its activation");
  timer_ = context().StartTimer({.every = kTickEvery}, [this] { return Tick(); });
  return kj::READY_NOW;
}

Task<void> DiaryActor::OnDeactivate() {
  ++parted_;
  return habits_->Fails() ? Refuse("its end") : kj::READY_NOW;
}

kj::Promise<void> DiaryActor::Tick() {
  ++ticked_;
  return habits_->Fails() ? Refuse("a timer") : kj::READY_NOW;
}

Task<void> DiaryActor::Serve(DueReminder reminder) {
  const int64_t due = absl::ToUnixNanos(reminder.due);
  if (reminder.missed > 0) wrong_ = absl::StrCat(reminder.missed, " due times were missed");
  Note(due);
  auto request = context().Get<Diary>(kTower).ringRequest();
  request.setDiary(Key());
  request.setDue(due);
  auto failed = [habits = habits_, key = Key(), due] { habits->failed.insert({key, due}); };
  auto rung = request.send().ignoreResult().catch_([failed](kj::Exception&& e) {
    failed();
    kj::throwFatalException(kj::mv(e));
  });
  co_await rung;
  if (!habits_->Fails()) co_return;
  failed();
  auto refused = Refuse("a reminder");
  co_await refused;
}

void DiaryActor::Note(int64_t due) {
  const int64_t every = absl::ToInt64Nanoseconds(kBellEvery);
  if (!served_.empty() && due != served_.back() + every) {
    wrong_ = absl::StrCat("after ", served_.back(), " the due time ", due, " was served");
  }
  served_.push_back(due);
}

// ---- Calls

kj::Promise<void> DiaryActor::add(AddContext call) {
  auto in = call.getParams();
  uint64_t& newest = orders_[in.getClient().cStr()];
  if (in.getOrder() <= newest) {
    wrong_ = absl::StrCat("call ", in.getOrder(), " of ", in.getClient().cStr(),
                          " began after its call ", newest);
  }
  newest = in.getOrder();
  call.getResults().setValue(value_ += in.getBy());
  call.getResults().setWrong(wrong_.c_str());
  if (in.getParting()) context().Deactivate();
  return kj::READY_NOW;
}

kj::Promise<void> DiaryActor::look(LookContext call) {
  call.getResults().setValue(value_);
  call.getResults().setWrong(wrong_.c_str());
  return kj::READY_NOW;
}

kj::Promise<void> DiaryActor::erase(EraseContext) {
  context().Erase();
  return kj::READY_NOW;
}

kj::Promise<void> DiaryActor::fail(FailContext call) {
  value_ += call.getParams().getBy();
  return Refuse("a call");
}

kj::Promise<void> DiaryActor::ring(RingContext call) {
  const std::pair<std::string, int64_t> one{call.getParams().getDiary().cStr(),
                                            call.getParams().getDue()};
  const bool again = std::find(rung_.begin(), rung_.end(), one) != rung_.end();
  if (again && !habits_->failed.contains(one)) {
    wrong_ = absl::StrCat(one.first, " has rung twice for ", one.second);
  }
  rung_.push_back(one);
  return kj::READY_NOW;
}

kj::Promise<void> DiaryActor::tell(TellContext call) {
  Save(call.getResults().initState());
  return kj::READY_NOW;
}

// ---- State

void DiaryActor::Save(DiaryState::Builder out) const {
  out.setValue(value_);
  out.setTicked(ticked_);
  out.setParted(parted_);
  out.setWrong(wrong_.c_str());
  auto orders = out.initOrders(static_cast<unsigned>(orders_.size()));
  unsigned at = 0;
  for (const auto& [client, order] : orders_) {
    orders[at].setClient(client.c_str());
    orders[at++].setOrder(order);
  }
  auto served = out.initServed(static_cast<unsigned>(served_.size()));
  for (unsigned i = 0; i < served.size(); ++i) served.set(i, served_[i]);
  auto rung = out.initRung(static_cast<unsigned>(rung_.size()));
  for (unsigned i = 0; i < rung.size(); ++i) {
    rung[i].setDiary(rung_[i].first.c_str());
    rung[i].setDue(rung_[i].second);
  }
}

void DiaryActor::Load(DiaryState::Reader in) {
  value_ = in.getValue();
  ticked_ = in.getTicked();
  parted_ = in.getParted();
  wrong_ = in.getWrong().cStr();
  for (auto order : in.getOrders()) orders_[order.getClient().cStr()] = order.getOrder();
  for (int64_t due : in.getServed()) served_.push_back(due);
  for (auto ring : in.getRung()) rung_.push_back({ring.getDiary().cStr(), ring.getDue()});
}

}  // namespace troupe::sim

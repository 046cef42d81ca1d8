#include "troupe/sim/traders/trader_book.h"

namespace troupe::sim {
namespace {

using Numbers = std::vector<uint64_t>;

void Put(const Numbers& from, capnp::List<uint64_t>::Builder out) {
  for (unsigned i = 0; i < out.size(); ++i) out.set(i, from[i]);
}
template <typename Pairs>
void Put(const Pairs& from, capnp::List<Guest>::Builder out) {
  unsigned i = 0;
  for (const auto& [name, number] : from) {
    out[i].setName(name.c_str());
    out[i++].setSerial(number);
  }
}
Numbers Take(capnp::List<uint64_t>::Reader in) {
  Numbers out;
  for (uint64_t one : in) out.push_back(one);
  return out;
}
TraderBook::Named Take(capnp::List<Guest>::Reader in) {
  TraderBook::Named out;
  for (auto one : in) out.emplace_back(one.getName().cStr(), one.getSerial());
  return out;
}
TraderBook::Counts TakeCounts(capnp::List<Guest>::Reader in) {
  const auto pairs = Take(in);
  return {pairs.begin(), pairs.end()};
}
template <typename List>
unsigned Size(const List& list) {
  return static_cast<unsigned>(list.size());
}

}  // namespace

void TraderBook::Write(TraderState::Builder out) const {
  out.setCash(cash);
  Put(deals, out.initDeals(Size(deals)));
  Put(brokered, out.initBrokered(Size(brokered)));
  Put(notes, out.initNotes(Size(notes)));
  Put(sent, out.initSent(Size(sent)));
  Put(received, out.initReceived(Size(received)));
  Put(begun, out.initBegun(Size(begun)));
  Put(marked, out.initMarked(Size(marked)));
  Put(ended, out.initEnded(Size(ended)));
  out.setAnnounced(announced);
  Put(items, out.initItems(Size(items)));
  Put(watches, out.initWatches(Size(watches)));
  Put(dropped, out.initDropped(Size(dropped)));
  Put(notices, out.initNotices(Size(notices)));
  out.setSerial(serial);
  Put(guests, out.initGuests(Size(guests)));
  out.setWrong(wrong.c_str());
}

TraderBook TraderBook::From(TraderState::Reader in) {
  TraderBook out;
  out.cash = in.getCash();
  out.deals = Take(in.getDeals());
  out.brokered = Take(in.getBrokered());
  out.notes = Take(in.getNotes());
  out.sent = TakeCounts(in.getSent());
  out.received = TakeCounts(in.getReceived());
  out.begun = Take(in.getBegun());
  out.marked = Take(in.getMarked());
  out.ended = Take(in.getEnded());
  out.announced = in.getAnnounced();
  out.items = Take(in.getItems());
  out.watches = TakeCounts(in.getWatches());
  out.dropped = Take(in.getDropped());
  out.notices = Take(in.getNotices());
  out.serial = in.getSerial();
  out.guests = Take(in.getGuests());
  out.wrong = in.getWrong().cStr();
  return out;
}

}  // namespace troupe::sim

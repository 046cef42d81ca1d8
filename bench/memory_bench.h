// MemoryBench: what an actor costs while it is active, while it is idle, and for its reminders.
#pragma once

#include "report.h"
#include "settings.h"

void RunMemoryBench(const BenchSettings& settings, Report& report);

// RpcBench: calls between two processes, beside plain Cap'n Proto and a raw echo.
#pragma once

#include "report.h"
#include "settings.h"

void RunRpcBench(const BenchSettings& settings, Report& report);

#pragma once

// Everything. Start reading at database.hpp.

#include "sqlane/call_site.hpp"
#include "sqlane/codec.hpp"
#include "sqlane/database.hpp"
#include "sqlane/database_cache.hpp"
#include "sqlane/error.hpp"
#include "sqlane/health.hpp"
#include "sqlane/histogram.hpp"
#include "sqlane/lane.hpp"
#include "sqlane/multi_pool.hpp"
#include "sqlane/options.hpp"
#include "sqlane/pool.hpp"
#include "sqlane/pool_options.hpp"
#include "sqlane/registry.hpp"
#include "sqlane/retry.hpp"
#include "sqlane/rows.hpp"
#include "sqlane/snapshot.hpp"
#include "sqlane/sql.hpp"
#include "sqlane/statistics.hpp"
#include "sqlane/transaction.hpp"
#include "sqlane/write_future.hpp"

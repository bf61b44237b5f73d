-- GET, always the same. No response function: it would make wrk parse every header and slow both sides down.
dofile(os.getenv("BENCH_LUA") .. "/report.lua")

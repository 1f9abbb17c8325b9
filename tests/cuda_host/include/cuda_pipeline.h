// __pipeline_memcpy_async and its relatives are in cuda_host.h.
#pragma once

-- Every function carries the version of its library: two releases of the
-- allocator can use one Redis while the one replaces the other.

redis.register_function('seats_hold_@VERSION@', hold)
redis.register_function('seats_get_@VERSION@', get)
redis.register_function('seats_release_@VERSION@', release)
redis.register_function('seats_pay_@VERSION@', pay)
redis.register_function('seats_unpay_@VERSION@', unpay)
redis.register_function('seats_book_@VERSION@', book)
redis.register_function('seats_free_@VERSION@', free)
redis.register_function('seats_sweep_@VERSION@', sweep_past)
redis.register_function('seats_counts_@VERSION@', counts)
redis.register_function{ function_name = 'seats_map_@VERSION@', callback = map, flags = { 'no-writes' } }
redis.register_function('seats_rebuild_begin_@VERSION@', rebuild_begin)
redis.register_function('seats_rebuild_clear_@VERSION@', rebuild_clear)
redis.register_function('seats_rebuild_cells_@VERSION@', rebuild_cells)
redis.register_function('seats_rebuild_units_@VERSION@', rebuild_units)
redis.register_function('seats_rebuild_booked_@VERSION@', rebuild_booked)
redis.register_function('seats_rebuild_paying_@VERSION@', rebuild_paying)
redis.register_function('seats_rebuild_end_@VERSION@', rebuild_end)

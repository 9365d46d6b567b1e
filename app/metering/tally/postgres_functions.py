"""The PL/pgSQL functions of the tally's PostgreSQL driver, as the migration creates them.

The one here says what `settling.py` says, inside the database: one round trip per batch. VOLATILE,
so that each statement sees what was committed while the locks were waited for; one CTE statement
would read a stale snapshot. Lock first, then read. No percent sign in them: drivers would take it
for a placeholder.
"""

from __future__ import annotations

from app.metering.tally.calls import KEY_LIFE_US, MAX_REPLAYS
from app.metering.tally.postgres_voiding import VOID

SETTLE = f"""
CREATE OR REPLACE FUNCTION usage_settle(
  p_again boolean,
  p_afterwards boolean,
  p_counts_at bigint,
  p_grant text[],
  p_frame_grant int[], p_frame_epoch bigint[], p_frame_meter text[],
  p_frame_first int[], p_frame_last int[],
  p_link_counter int[], p_link_ends bigint[], p_link_limit bigint[],
  p_counter_grant int[], p_counter_meter text[], p_counter_kind text[], p_counter_starts bigint[],
  p_frame int[], p_event text[], p_at bigint[], p_units bigint[], p_operation text[],
  p_status int[], p_bytes bigint[], p_request text[], p_key text[], p_replay_until bigint[],
  OUT o_outcome text[], OUT o_event text[], OUT o_number bigint[], OUT o_settled bigint[],
  OUT o_used bigint[], OUT o_left bigint[]
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  n int := cardinality(p_frame);
  s_epoch bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_grant)]);
  s_live boolean[] := array_fill(false, ARRAY[cardinality(p_grant)]);
  s_starts bigint[] := s_epoch;
  s_ends bigint[] := s_epoch;
  s_number bigint[] := s_epoch;
  s_settled bigint[] := s_epoch;
  s_moved boolean[] := s_live;
  s_units boolean[] := s_live;
  has_units boolean := false;
  k_ends bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_counter_grant)]);
  k_limit bigint[] := k_ends;
  k_counted boolean[] := array_fill(false, ARRAY[cardinality(p_counter_grant)]);
  u_first int[];
  u_last int[];
  u_id text[] := '{{}}';
  u_meter text[] := '{{}}';
  u_starts bigint[] := '{{}}';
  u_ends bigint[] := '{{}}';
  u_left bigint[] := '{{}}';
  u_taken bigint[] := '{{}}';
  u_grant int[] := '{{}}';
  b_grant int[] := '{{}}';
  b_number bigint[] := '{{}}';
  b_unit int[] := '{{}}';
  b_units bigint[] := '{{}}';
  granted bigint[] := array_fill(0::bigint, ARRAY[n]);
  posted boolean[] := array_fill(false, ARRAY[n]);
  posted_count int := 0;
  inserted_count int;
  r record;
  c record;
  known record;
  i int;
  g int;
  f int;
  k int;
  l int;
  want bigint;
  taken bigint;
  at bigint;
  counts_at bigint;
  verdict text;
BEGIN
  o_outcome := array_fill(NULL::text, ARRAY[n]);
  o_event := p_event;
  o_number := array_fill(0::bigint, ARRAY[n]);
  o_settled := p_at;
  o_used := array_fill(NULL::bigint, ARRAY[cardinality(p_counter_grant)]);
  o_left := granted;

  FOR r IN
    SELECT ids.ord::int AS ord, s.epoch, s.live, s.starts_at_us, s.ends_at_us, s.last_number,
           s.last_settled_at_us, s.has_granted_units
    FROM unnest(p_grant) WITH ORDINALITY AS ids(id, ord)
    JOIN grant_state s ON s.grant_id = ids.id
    ORDER BY s.grant_id FOR UPDATE OF s
  LOOP
    s_epoch[r.ord] := r.epoch;
    s_live[r.ord] := r.live;
    s_starts[r.ord] := r.starts_at_us;
    s_ends[r.ord] := r.ends_at_us;
    s_number[r.ord] := r.last_number;
    s_settled[r.ord] := r.last_settled_at_us;
    IF r.has_granted_units OR p_counts_at IS NOT NULL THEN
      s_units[r.ord] := true;
      has_units := true;
    END IF;
  END LOOP;
  IF has_units THEN
    u_first := array_fill(NULL::int, ARRAY[cardinality(p_grant)]);
    u_last := u_first;
    FOR r IN
      SELECT ids.ord::int AS ord, g.unit_grant_id, g.meter, g.starts_at_us, g.ends_at_us,
             g.amount_units - g.burned_units AS left_units
      FROM unnest(p_grant, s_units, s_settled) WITH ORDINALITY AS ids(id, units, settled, ord)
      JOIN unit_grant g ON g.grant_id = ids.id
        AND g.ends_at_us > coalesce(p_counts_at, ids.settled)
        AND (p_counts_at IS NULL OR g.granted_at_us <= p_counts_at)
      WHERE ids.units AND g.burned_units < g.amount_units
      ORDER BY ids.ord, g.priority, g.ends_at_us, g.granted_at_us, g.unit_grant_id
    LOOP
      u_id := u_id || r.unit_grant_id::text;
      u_meter := u_meter || r.meter::text;
      u_starts := u_starts || r.starts_at_us;
      u_ends := u_ends || r.ends_at_us;
      u_left := u_left || r.left_units;
      u_taken := u_taken || 0::bigint;
      u_grant := u_grant || r.ord;
      u_first[r.ord] := coalesce(u_first[r.ord], cardinality(u_id));
      u_last[r.ord] := cardinality(u_id);
    END LOOP;
  END IF;

  FOR r IN
    SELECT ids.ord::int AS ord, w.used_units
    FROM unnest(p_counter_grant, p_counter_meter, p_counter_kind, p_counter_starts)
      WITH ORDINALITY AS ids(grant_index, meter, kind, starts, ord)
    JOIN usage_window w ON w.grant_id = p_grant[ids.grant_index] AND w.meter = ids.meter
      AND w.kind = ids.kind AND w.starts_at_us = ids.starts
  LOOP
    o_used[r.ord] := r.used_units;
  END LOOP;
  FOR l IN 1 .. cardinality(p_link_counter) LOOP
    k_ends[p_link_counter[l]] := p_link_ends[l];
  END LOOP;
  FOR k IN 1 .. cardinality(p_counter_grant) LOOP
    IF o_used[k] IS NULL THEN
      o_used[k] := 0;
      g := p_counter_grant[k];
      IF s_settled[g] >= p_counter_starts[k] THEN
        -- A window that came with an amendment starts with what was used in it already.
        o_used[k] := (
          SELECT coalesce(sum(e.units - e.granted_units), 0) FROM usage_event e
          LEFT JOIN usage_report q ON q.grant_id = e.grant_id AND q.number = e.number
          WHERE e.grant_id = p_grant[g] AND e.meter = p_counter_meter[k] AND e.kind = 'posted'
            AND e.settled_at_us >= p_counter_starts[k]
            AND coalesce(q.counts_at_us, e.settled_at_us) >= p_counter_starts[k]
            AND coalesce(q.counts_at_us, e.settled_at_us) < k_ends[k]
            AND NOT EXISTS (
              SELECT 1 FROM usage_event v WHERE v.grant_id = e.grant_id AND v.voids = e.number));
      END IF;
    END IF;
  END LOOP;

  IF p_again THEN
    FOR r IN
      SELECT ids.ord::int AS ord, e.number, e.settled_at_us
      FROM unnest(p_frame, p_event) WITH ORDINALITY AS ids(frame, id, ord)
      JOIN usage_event e ON e.grant_id = p_grant[p_frame_grant[ids.frame]] AND e.event_id = ids.id
    LOOP
      o_outcome[r.ord] := 'posted';
      o_number[r.ord] := r.number;
      o_settled[r.ord] := r.settled_at_us;
    END LOOP;
  END IF;

  FOR c IN
    SELECT ids.* FROM unnest(p_frame, p_event, p_at, p_units, p_request, p_key, p_replay_until)
      WITH ORDINALITY AS ids(frame, event, at, units, request, key, replay_until, ord)
  LOOP
    i := c.ord;
    CONTINUE WHEN o_outcome[i] IS NOT NULL;
    f := c.frame;
    g := p_frame_grant[f];
    IF s_epoch[g] IS NULL OR NOT (s_live[g] OR p_afterwards) THEN
      o_outcome[i] := 'dead';
      CONTINUE;
    END IF;
    at := greatest(c.at, s_settled[g]);
    o_settled[i] := at;
    IF s_epoch[g] <> p_frame_epoch[f] THEN
      o_outcome[i] := 'stale_grant';
      CONTINUE;
    END IF;
    IF NOT p_afterwards AND (at < s_starts[g] OR at >= s_ends[g]) THEN
      o_outcome[i] := 'dead';
      CONTINUE;
    END IF;
    IF c.key IS NOT NULL THEN
      SELECT * INTO known FROM usage_key
      WHERE usage_key.grant_id = p_grant[g] AND usage_key.key_sha256 = c.key;
      IF FOUND AND known.expires_at_us > at THEN
        IF known.request_sha256 <> c.request THEN
          o_outcome[i] := 'key_reused';
        ELSIF known.replays >= {MAX_REPLAYS} OR at >= known.replay_until_us THEN
          o_outcome[i] := 'key_spent';
        ELSE
          o_outcome[i] := 'duplicate';
          UPDATE usage_key SET replays = replays + 1
          WHERE usage_key.grant_id = p_grant[g] AND usage_key.key_sha256 = c.key;
        END IF;
        o_event[i] := known.event_id;
        o_number[i] := known.number;
        CONTINUE;
      END IF;
    END IF;
    verdict := 'posted';
    want := c.units;
    counts_at := coalesce(p_counts_at, at);
    IF has_units AND u_first[g] IS NOT NULL THEN
      FOR u IN u_first[g] .. u_last[g] LOOP
        u_taken[u] := 0;
        IF u_meter[u] = p_frame_meter[f]
          AND counts_at >= u_starts[u] AND counts_at < u_ends[u]
        THEN
          u_taken[u] := least(want, u_left[u]);
          want := want - u_taken[u];
        END IF;
      END LOOP;
    END IF;
    FOR l IN p_frame_first[f] .. p_frame_last[f] LOOP
      k := p_link_counter[l];
      IF counts_at < p_counter_starts[k] OR counts_at >= p_link_ends[l] THEN
        verdict := 'stale_window';
        EXIT;
      ELSIF o_used[k] + want > p_link_limit[l] THEN
        verdict := 'over_limit';
      END IF;
    END LOOP;
    o_outcome[i] := verdict;
    CONTINUE WHEN verdict <> 'posted';
    s_number[g] := s_number[g] + 1;
    s_settled[g] := at;
    s_moved[g] := true;
    o_number[i] := s_number[g];
    posted[i] := true;
    posted_count := posted_count + 1;
    IF want < c.units THEN
      granted[i] := c.units - want;
      FOR u IN u_first[g] .. u_last[g] LOOP
        IF u_taken[u] > 0 THEN
          u_left[u] := u_left[u] - u_taken[u];
          b_grant := b_grant || g;
          b_number := b_number || s_number[g];
          b_unit := b_unit || u;
          b_units := b_units || u_taken[u];
        END IF;
      END LOOP;
    END IF;
    FOR l IN p_frame_first[f] .. p_frame_last[f] LOOP
      k := p_link_counter[l];
      o_used[k] := o_used[k] + want;
      k_ends[k] := p_link_ends[l];
      k_limit[k] := p_link_limit[l];
      k_counted[k] := true;
    END LOOP;
    IF c.key IS NOT NULL THEN
      INSERT INTO usage_key (grant_id, key_sha256, event_id, number, request_sha256, replays,
        replay_until_us, expires_at_us)
      VALUES (p_grant[g], c.key, c.event, s_number[g], c.request, 0,
        least(c.replay_until, at + {KEY_LIFE_US}), at + {KEY_LIFE_US})
      ON CONFLICT (grant_id, key_sha256) DO UPDATE SET
        event_id = excluded.event_id, number = excluded.number,
        request_sha256 = excluded.request_sha256, replays = 0,
        replay_until_us = excluded.replay_until_us, expires_at_us = excluded.expires_at_us;
    END IF;
  END LOOP;

  IF cardinality(u_id) > 0 AND p_counts_at IS NULL THEN
    FOR i IN 1 .. n LOOP
      f := p_frame[i];
      o_left[i] := (
        SELECT coalesce(sum(x.left_units), 0)
        FROM unnest(u_grant, u_meter, u_starts, u_ends, u_left)
          AS x(grant_index, meter, starts, ends, left_units)
        WHERE x.grant_index = p_frame_grant[f] AND x.meter = p_frame_meter[f]
          AND p_at[i] >= x.starts AND p_at[i] < x.ends);
    END LOOP;
  END IF;
  IF posted_count = 0 THEN
    RETURN;
  END IF;
  INSERT INTO usage_event (grant_id, number, event_id, epoch, kind, settled_at_us, meter, units,
    granted_units, operation, status, bytes, request_sha256)
  SELECT p_grant[p_frame_grant[e.frame]], e.number, e.event, p_frame_epoch[e.frame], 'posted',
    e.settled, p_frame_meter[e.frame], e.units, e.granted, e.operation, e.status, e.bytes,
    e.request
  FROM unnest(p_frame, o_number, p_event, o_settled, p_units, granted, p_operation, p_status,
      p_bytes, p_request, posted)
    AS e(frame, number, event, settled, units, granted, operation, status, bytes, request, posted)
  WHERE e.posted;
  GET DIAGNOSTICS inserted_count = ROW_COUNT;
  IF inserted_count <> posted_count THEN
    RAISE EXCEPTION USING MESSAGE = 'usage_settle did not insert every event that it posted';
  END IF;
  INSERT INTO usage_window (grant_id, meter, kind, starts_at_us, ends_at_us, limit_units,
    used_units)
  SELECT p_grant[w.grant_index], w.meter, w.kind, w.starts, w.ends, w.lim, w.used
  FROM unnest(p_counter_grant, p_counter_meter, p_counter_kind, p_counter_starts, k_ends, k_limit,
      o_used, k_counted)
    AS w(grant_index, meter, kind, starts, ends, lim, used, counted)
  WHERE w.counted
  ON CONFLICT (grant_id, meter, kind, starts_at_us) DO UPDATE SET
    ends_at_us = excluded.ends_at_us, limit_units = excluded.limit_units,
    used_units = excluded.used_units;
  UPDATE grant_state SET last_number = m.number, last_settled_at_us = m.settled
  FROM unnest(p_grant, s_number, s_settled, s_moved) AS m(id, number, settled, moved)
  WHERE grant_state.grant_id = m.id AND m.moved;
  IF NOT has_units THEN
    RETURN;
  END IF;
  INSERT INTO unit_burn (grant_id, number, unit_grant_id, units)
  SELECT p_grant[b.grant_index], b.number, u_id[b.unit], b.units
  FROM unnest(b_grant, b_number, b_unit, b_units) AS b(grant_index, number, unit, units);
  UPDATE unit_grant SET burned_units = burned_units + b.units
  FROM (
    SELECT burned.grant_index, burned.unit, sum(burned.units) AS units
    FROM unnest(b_grant, b_unit, b_units) AS burned(grant_index, unit, units)
    GROUP BY burned.grant_index, burned.unit) AS b
  WHERE unit_grant.grant_id = p_grant[b.grant_index] AND unit_grant.unit_grant_id = u_id[b.unit];
  UPDATE grant_state SET has_granted_units = false
  FROM unnest(p_grant, s_units, u_first) AS m(id, units, first)
  WHERE grant_state.grant_id = m.id AND m.units AND m.first IS NULL AND p_counts_at IS NULL;
END
$$
"""  # noqa: S608 - two numbers of ours

DROP = (
    "DROP FUNCTION IF EXISTS usage_settle",
    "DROP FUNCTION IF EXISTS usage_void",
)
POSTGRES_FUNCTIONS = (SETTLE, VOID)
"""What a PostgreSQL usage store needs beside its tables."""

"""The PL/pgSQL function that takes an event back: `void_event` of `sqlite_book.py`, inside."""

from __future__ import annotations

from app.metering.tally.calls import BREAKS_REMEMBERED

VOID = f"""
CREATE OR REPLACE FUNCTION usage_void(
  p_grant text, p_event text, p_void_event text, p_at bigint, p_status int,
  p_key text, p_replayed boolean, p_counts_at bigint,
  OUT o_outcome text, OUT o_event text, OUT o_number bigint, OUT o_settled bigint
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  s record;
  e record;
  v record;
  k record;
  breaks text[];
BEGIN
  o_outcome := 'not_found';
  o_event := p_event;
  o_number := 0;
  o_settled := p_at;
  SELECT last_number, last_settled_at_us INTO s FROM grant_state
  WHERE grant_id = p_grant FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  SELECT * INTO e FROM usage_event
  WHERE grant_id = p_grant AND event_id = p_event AND kind = 'posted';
  IF NOT FOUND THEN
    RETURN;
  END IF;
  SELECT number, settled_at_us INTO v FROM usage_event
  WHERE grant_id = p_grant AND voids = e.number;
  IF FOUND THEN
    o_outcome := 'duplicate';
    o_number := v.number;
    o_settled := v.settled_at_us;
    RETURN;
  END IF;
  IF p_key IS NOT NULL THEN
    SELECT replays, broken_off INTO k FROM usage_key
    WHERE grant_id = p_grant AND key_sha256 = p_key AND event_id = p_event;
    IF NOT FOUND THEN
      IF p_replayed THEN
        o_outcome := 'kept';
      END IF;
    ELSE
      breaks := string_to_array(k.broken_off, ' ');
      IF p_void_event = ANY (breaks) THEN
        o_outcome := 'kept';
      ELSIF k.replays > 0 THEN
        o_outcome := 'kept';
        breaks := breaks || p_void_event;
        UPDATE usage_key SET replays = replays - 1, broken_off = array_to_string(
          breaks[greatest(1, cardinality(breaks) - {BREAKS_REMEMBERED - 1}):], ' ')
        WHERE grant_id = p_grant AND key_sha256 = p_key;
      END IF;
    END IF;
    IF o_outcome = 'kept' THEN
      o_number := e.number;
      o_settled := e.settled_at_us;
      RETURN;
    END IF;
  END IF;
  o_outcome := 'voided';
  o_event := p_void_event;
  o_number := s.last_number + 1;
  o_settled := greatest(p_at, s.last_settled_at_us);
  INSERT INTO usage_event (grant_id, number, event_id, epoch, kind, voids, settled_at_us, meter,
    units, granted_units, operation, status, bytes, request_sha256)
  VALUES (p_grant, o_number, p_void_event, e.epoch, 'void', e.number, o_settled, e.meter, e.units,
    e.granted_units, e.operation, p_status, 0, e.request_sha256);
  IF e.granted_units > 0 THEN
    UPDATE unit_grant SET burned_units = burned_units - b.units FROM unit_burn b
    WHERE b.grant_id = p_grant AND b.number = e.number
      AND unit_grant.grant_id = p_grant AND unit_grant.unit_grant_id = b.unit_grant_id;
    DELETE FROM unit_burn WHERE unit_burn.grant_id = p_grant AND unit_burn.number = e.number;
    UPDATE grant_state SET has_granted_units = true WHERE grant_state.grant_id = p_grant;
  END IF;
  UPDATE usage_window SET used_units = used_units - e.units + e.granted_units
  WHERE grant_id = p_grant AND meter = e.meter
    AND starts_at_us <= coalesce(p_counts_at, e.settled_at_us)
    AND ends_at_us > coalesce(p_counts_at, e.settled_at_us);
  UPDATE grant_state SET last_number = o_number, last_settled_at_us = o_settled
  WHERE grant_id = p_grant;
  DELETE FROM usage_key WHERE grant_id = p_grant AND key_sha256 = p_key AND event_id = p_event;
END
$$
"""  # noqa: S608 - a number of ours

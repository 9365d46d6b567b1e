"""History: events under seal, closed into periods, added up by day and kept in archives."""

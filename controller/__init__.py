"""MAKE IT SO: functions -> builds -> revisions -> routes, by plan() and a level-based reconcile."""

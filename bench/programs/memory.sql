-- A database in memory: inserts, indexes, joins, text functions, updates, deletes.
PRAGMA temp_store = MEMORY;
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE booking(id INTEGER PRIMARY KEY, customer INTEGER, amount INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO customer SELECT i, 'customer ' || i, 'city ' || (i * 7919 % 997) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO booking SELECT i, i * 31 % 20000 + 1, i * 7919 % 10007,
  'note ' || i || substr('----------------------------------------', 1, i % 40) FROM n;
CREATE INDEX booking_customer ON booking(customer);
CREATE INDEX booking_note ON booking(note);
SELECT city, count(*), sum(amount), max(note) FROM booking JOIN customer ON customer.id = customer
  GROUP BY city ORDER BY 3 DESC LIMIT 5;
UPDATE booking SET note = upper(note) || ' changed' WHERE id % 3 = 0;
SELECT length(group_concat(note)), count(DISTINCT note) FROM booking WHERE amount < 2000;
DELETE FROM booking WHERE id % 2 = 0;
SELECT count(*), sum(length(note)) FROM booking;
SELECT json_extract(json_group_array(json_object('n', name, 'c', city)), '$[77].n') FROM customer;

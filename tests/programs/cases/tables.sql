-- Inserts, indexes, joins, updates, text, windows, recursion and JSON.
CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT, size INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO items SELECT i, 'name' || (i * 7919 % 5003), i * 31 % 1009, hex(zeroblob(i % 40)) FROM n;
CREATE INDEX by_name ON items(name);
CREATE INDEX by_size ON items(size, name);
SELECT count(*), sum(size), max(length(note)) FROM items;
SELECT name, count(*) AS c, sum(size) FROM items GROUP BY name ORDER BY c DESC, name LIMIT 5;
SELECT count(*) FROM items a JOIN items b ON a.name = b.name AND a.size < b.size;
UPDATE items SET note = note || name WHERE size % 3 = 0;
DELETE FROM items WHERE size % 7 = 2;
SELECT count(*), sum(length(note)) FROM items;
SELECT id, rank() OVER (ORDER BY size DESC, id) AS r FROM items ORDER BY r LIMIT 3;
SELECT length(group_concat(name)) FROM (SELECT name FROM items ORDER BY id);
SELECT json_array_length(json_group_array(json_object('n', name))) FROM items;
VACUUM;
PRAGMA integrity_check;

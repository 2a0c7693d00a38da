-- Allocation as Lua programs do it: small tables, closures, strings that are built and interned.
local nodes, rounds = tonumber(arg[1]), tonumber(arg[2])

local function tree(depth)
  if depth == 0 then return { value = depth } end
  return { left = tree(depth - 1), right = tree(depth - 1), value = depth }
end

local function count(top)
  return top.left and 1 + count(top.left) + count(top.right) or 1
end

local total = 0
for round = 1, rounds do
  total = total + count(tree(12))
  local list = {}
  for number = 1, nodes do
    local name = "node" .. number * round
    list[#list + 1] = { name = name, get = function() return #name + number end }
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  local parts = {}
  for _, each in ipairs(list) do parts[#parts + 1] = each.name .. each.get() end
  total = total + #table.concat(parts, ",")
end
print(total)


¶
legacy.protolegacy"ÿ
Old
id (Rid 
name (	:nobody knowsRname
numbers (Rnumbers
packed (BRpacked-
address (
2.legacy.Old.AddressRaddress'
state (2.legacy.Old.StateRstate!
inner (2.legacy.OldRinnero
Address
street (	Rstreet,
line (
2.legacy.Old.Address.LineRline
Line
number (Rnumber"
State
OPEN

CLOSED*dÈ"M
Scope
flag (Rflag20
scope.legacy.Oldf (2.legacy.ScopeRscope:
note.legacy.Oldd (	Rnote:,
more.legacy.Olde (2.legacy.OldRmore

ð
edition.protomodern"Â
Node
name (	Rname 
left (2.modern.NodeRleft)
right (2.modern.NodeBª(Rright
numbers (Rnumbers!
expanded (BªRexpanded6
children (2.modern.Node.ChildrenEntryRchildren
zero (BªRzeroI
ChildrenEntry
key (	Rkey"
value (2.modern.NodeRvalue:8B’(beditionspè
module deadspan/tools/door

go 1.24.3

module peft

go 1.19

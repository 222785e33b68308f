ravi@example.com|DE
ravi@example.com|8.5.0.7

 	asha@example.com | FR 

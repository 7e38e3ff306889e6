-- Which copy stands for which flow and its request. Ids keep their length and alphabet: 18 of the 26
-- characters stay, the rest counts.
create unlogged table twin (flow text, request text, twin_flow text, twin_request text)

#include "troupe/actors/main.h"
#include "troupe/actors/topic_actor.h"

int main(int argc, char** argv) { return troupe::Main(argc, argv).Host<troupe::Topic>().Run(); }

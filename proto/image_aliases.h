/* Images that pipeline files of before name and that nobody can pull any more, each with what takes its place: the
 * default of the server's image_aliases, and what a run without a server knows. The first one is told apart, so that a
 * list in words can have separators. */
#ifndef DAVIT_PROTO_IMAGE_ALIASES_H
#define DAVIT_PROTO_IMAGE_ALIASES_H

#define IMAGE_ALIASES(FIRST, NEXT)                \
	FIRST("daocloud/ci-golang:*", "golang:*") \
	NEXT("daocloud/ci-python:*", "python:*")  \
	NEXT("daocloud/ci-node:*", "node:*")      \
	NEXT("daocloud/ci-php:*", "php:*")        \
	NEXT("daocloud/ci-ruby:*", "ruby:*")      \
	NEXT("daocloud/ci-java:*", "openjdk:*")   \
	NEXT("daocloud/ci-gcc:*", "gcc:*")        \
	NEXT("node.js:*", "node:*")               \
	NEXT("python2.7", "python:2.7")

#endif

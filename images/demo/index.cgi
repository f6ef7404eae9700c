#!/bin/busybox sh
read -r up _ </proc/uptime
read -r name </proc/sys/kernel/hostname
printf 'Content-Type: text/html; charset=utf-8\r\n\r\n'
echo "<!doctype html><title>$name</title><h1>$name</h1><p>A Blixard demo guest, up for $up seconds.</p>"

# sidekiq_add.rb MODE COUNT STEPS
require_relative 'sidekiq_job'
require 'json'

mode, count, steps = ARGV
left = mode == 'chain' ? Integer(steps) : 1
payload = 'x' * 80
began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
Integer(count).times.each_slice(1000) do |slice|
  Sidekiq::Client.push_bulk('class' => BenchJob, 'args' => slice.map { [payload, left] })
end
puts JSON.generate(ms: (Process.clock_gettime(Process::CLOCK_MONOTONIC) - began) * 1000)

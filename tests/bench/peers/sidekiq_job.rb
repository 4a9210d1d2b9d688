# Sidekiq: loaded by its own program, and by sidekiq_add.rb. Its basic fetch (BRPOP) is the only one that is free.
require 'redis'
Redis.silence_deprecations = true # this pair of Debian packages warns at every job, which would cost it dearly
require 'sidekiq'

Sidekiq.logger.level = Logger::ERROR
options = { url: ENV.fetch('BENCH_REDIS'), driver: :hiredis }
Sidekiq.configure_client { |c| c.redis = options }

class BenchJob
  include Sidekiq::Worker
  sidekiq_options retry: 3, queue: 'default'

  def perform(payload, left)
    BenchJob.perform_async(payload, left - 1) if left > 1
  end
end

# Counts what came to its end, outside of the job as a server middleware does.
class BenchCount
  LOCK = Mutex.new
  @done = 0
  @at = 0
  class << self
    attr_reader :done, :at

    def count
      LOCK.synchronize do
        @done += 1
        @at = Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond)
      end
    end
  end

  def call(_worker, _job, _queue)
    yield
    BenchCount.count
  end
end

Sidekiq.configure_server do |config|
  config.redis = options
  config.server_middleware { |chain| chain.add BenchCount }
  config.on(:startup) do # before it begins to fetch
    $stdout.write("READY\n")
    $stdout.flush
    $stdin.gets
    Thread.new do
      told = 0
      loop do
        sleep 0.01
        next if BenchCount.done == told

        told = BenchCount.done
        $stdout.write("#{told} #{BenchCount.at}\n")
        $stdout.flush
      end
    end
  end
end

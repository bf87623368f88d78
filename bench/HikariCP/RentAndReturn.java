import com.sun.management.ThreadMXBean;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CyclicBarrier;
import java.util.logging.Logger;
import java.util.stream.Collectors;
import javax.sql.DataSource;

/**
 * HikariCP, the reference from the JVM, over sessions that do nothing. One worker rents and returns; then 32 threads
 * share 16 connections, and each yields while it holds one. Its threads block where the pool's workers await.
 */
final class RentAndReturn {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private record Point(int workers, int connections, int rents) {}

    private record Figure(double nanoseconds, long bytes) {}

    public static void main(String[] args) throws Exception {
        if (args.length != 2) {
            System.err.println("Usage: RentAndReturn ROUNDS FILE");
            System.exit(2);
        }

        int rounds = Integer.parseInt(args[0]);
        List<String> rows = new ArrayList<>();
        rows.add(measure(new Point(1, 1, 2_000_000), rounds));
        rows.add(measure(new Point(32, 16, 20_000), rounds));
        Files.writeString(Path.of(args[1]), "{\"part\":\"pool\",\"rows\":[" + String.join(",", rows) + "]}\n");
    }

    private static String measure(Point point, int rounds) throws Exception {
        HikariConfig config = new HikariConfig();
        config.setDataSource(new IdleDataSource());
        config.setMaximumPoolSize(point.connections);
        try (HikariDataSource pool = new HikariDataSource(config)) {
            // Warm-up for the compiler.
            for (int i = 0; i < 3; i++) run(pool, point);
            List<Figure> figures = new ArrayList<>();
            for (int i = 0; i < rounds; i++) figures.add(run(pool, point));
            String values = figures.stream()
                .map(figure -> String.format(Locale.ROOT, "%.1f", figure.nanoseconds)).collect(Collectors.joining(","));
            long bytes = figures.stream().mapToLong(Figure::bytes).max().orElseThrow();
            System.err.printf(Locale.ROOT, "HikariCP, %d workers: %s ns, %d B%n", point.workers, values, bytes);
            return String.format(
                Locale.ROOT,
                "{\"name\":\"rent+return, fake connector\",\"side\":\"HikariCP\",\"point\":{\"workers\":%d},"
                    + "\"unit\":\"ns\",\"values\":[%s],\"bytes\":%d}",
                point.workers, values, bytes);
        }
    }

    private static Figure run(HikariDataSource pool, Point point) throws Exception {
        CyclicBarrier start = new CyclicBarrier(point.workers + 1);
        long[] bytes = new long[point.workers];
        Throwable[] failed = new Throwable[1];
        Thread[] workers = new Thread[point.workers];
        for (int i = 0; i < workers.length; i++) {
            int worker = i;
            workers[i] = new Thread(() -> {
                try {
                    start.await();
                    long before = THREADS.getThreadAllocatedBytes(Thread.currentThread().getId());
                    for (int rent = 0; rent < point.rents; rent++) {
                        try (Connection connection = pool.getConnection()) {
                            if (point.workers > 1) Thread.yield();
                        }
                    }

                    bytes[worker] = THREADS.getThreadAllocatedBytes(Thread.currentThread().getId()) - before;
                } catch (Throwable error) {
                    failed[0] = error;
                }
            });
            workers[i].start();
        }

        start.await();
        long startedAt = System.nanoTime();
        for (Thread worker : workers) worker.join();
        long took = System.nanoTime() - startedAt;
        if (failed[0] != null) throw new IllegalStateException(failed[0]);

        long rents = (long) point.workers * point.rents;
        return new Figure((double) took / rents, Arrays.stream(bytes).sum() / rents);
    }

    private static final class IdleDataSource implements DataSource {
        @Override public Connection getConnection() { return new IdleConnection(); }
        @Override public Connection getConnection(String user, String password) { return new IdleConnection(); }
        @Override public PrintWriter getLogWriter() { return null; }
        @Override public void setLogWriter(PrintWriter writer) {}
        @Override public void setLoginTimeout(int seconds) {}
        @Override public int getLoginTimeout() { return 0; }
        @Override public Logger getParentLogger() { return null; }
        @Override public <T> T unwrap(Class<T> type) { return null; }
        @Override public boolean isWrapperFor(Class<?> type) { return false; }
    }
}

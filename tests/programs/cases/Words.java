import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/** Threads, memory outside the collected heap, and the native compressor. */
public final class Words {
  public static void main(String[] arguments) throws Exception {
    var counts = new TreeMap<String, Integer>();
    IntStream.range(0, 100_000).forEach(i -> counts.merge("w" + i * 7919L % 997, 1, Integer::sum));
    System.out.println(counts.size() + " " + counts.firstEntry());
    var threads = new ArrayList<Thread>();
    var sums = new long[8];
    for (int index = 0; index < sums.length; ++index) {
      final int mine = index;
      threads.add(new Thread(() -> sums[mine] = outside(mine)));
      threads.get(index).start();
    }
    for (var thread : threads) thread.join();
    for (var sum : sums) System.out.println(sum);
  }

  private static long outside(int seed) {
    List<ByteBuffer> buffers = new ArrayList<>();
    for (int i = 0; i < 200; ++i) buffers.add(ByteBuffer.allocateDirect(1000 * (1 + i % 7)));
    var deflater = new Deflater();
    var input = new byte[100_000];
    for (int i = 0; i < input.length; ++i) input[i] = (byte) (i * seed % 251);
    deflater.setInput(input);
    deflater.finish();
    var output = new byte[200_000];
    var crc = new CRC32();
    crc.update(output, 0, deflater.deflate(output));
    deflater.end();
    return crc.getValue() + buffers.size();
  }
}

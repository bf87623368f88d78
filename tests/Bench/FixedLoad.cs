using System.Net;

using UPool.Bench.Runner.Load;

namespace UPool.Bench.Tests;

/// <summary>A small load of fixed size, without wrk, counted by the rule of wrk's script.</summary>
internal sealed class FixedLoad : ILoad
{
    private const int RequestsOfEach = 5;

    public async Task<LoadFigures> RunAsync(Uri side, Question question, int clients, int round)
    {
        var random = new Random(round);
        using var client = new HttpClient { BaseAddress = side };
        int served = 0;
        for (int turn = 0; turn < RequestsOfEach; turn++)
        {
            bool[] counts = await Task.WhenAll(Enumerable.Range(0, clients).Select(_ =>
            {
                string path = question.Ids is { } ids
                    ? $"{question.Path}{random.Next(ids.First, ids.Last + 1)}"
                    : question.Path;
                return CountsAsync(client, path, question.BodyBytes);
            }));
            served += counts.Count(static one => one);
        }

        return new LoadFigures(Seconds: 1, served, (clients * RequestsOfEach) - served, P50: 1, P99: 1);
    }

    private static async Task<bool> CountsAsync(HttpClient client, string path, int bodyBytes)
    {
        using HttpResponseMessage reply = await client.GetAsync(new Uri(path, UriKind.Relative));
        string body = await reply.Content.ReadAsStringAsync();
        return reply.StatusCode == HttpStatusCode.OK && body.Length == bodyBytes
            && body.StartsWith(Question.Beginning, StringComparison.Ordinal);
    }
}

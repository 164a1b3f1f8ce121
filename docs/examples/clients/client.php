<?php
// Ping, post and ingest one lead, as a source should. PHP 8.0 or newer, without extensions.
// Ids and credentials come from the environment, as `leadsandbox rehearse -- php client.php` sets them.

declare(strict_types=1);

const TIMEOUT = 30; // seconds: longer than any auction
const ATTEMPTS = 4;
const ATTRIBUTES = ['state' => 'CA', 'zip_code' => '90001', 'loan_amount' => 15000, 'sub1' => 'example'];
const PERSON = ['first_name' => 'Jane', 'last_name' => 'Doe', 'email' => 'jane@example.com'];
const PHONE = '2125550123';

/** Sends JSON; after 429, 500 and 503 waits, and sends it again. Returns HTTP status and answer. */
function call(string $url, string $header, array $body): array
{
    for ($attempt = 1; ; $attempt++) {
        [$status, $headers, $text] = once($url, $header, json_encode($body, JSON_THROW_ON_ERROR));
        if (!in_array($status, [429, 500, 503], true) || $attempt === ATTEMPTS) {
            return [$status, json_decode($text, true, 64, JSON_THROW_ON_ERROR)];
        }
        usleep((int) (1_000_000 * pause($headers['retry-after'] ?? '', $attempt)));
    }
}

function once(string $url, string $header, string $body): array
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => "Content-Type: application/json\r\nConnection: close\r\n$header",
        'content' => $body,
        'timeout' => TIMEOUT,
        'ignore_errors' => true, // the body of an error is an answer too
    ]]);
    $text = file_get_contents($url, false, $context);
    if ($text === false) {
        throw new RuntimeException("no answer from $url");
    }
    $headers = [];
    foreach (array_slice($http_response_header, 1) as $line) {
        [$name, $value] = array_pad(explode(':', $line, 2), 2, '');
        $headers[strtolower($name)] = trim($value);
    }
    return [(int) explode(' ', $http_response_header[0])[1], $headers, $text];
}

/** The seconds that the platform asks for, else a back-off that triples, with jitter. */
function pause(string $asked, int $attempt): float
{
    return preg_match('/^\d+$/', $asked) ? (float) $asked : 0.2 * 3 ** $attempt * mt_rand(90, 110) / 100;
}

/** Pings without what names the consumer; posts only if a buyer wants the lead. */
function pingtree(): array
{
    $send = function (string $kind, array $body): array {
        $url = getenv('PINGTREE_URL') . "/api/lead/$kind/" . getenv('PINGTREE_SOURCE_UNIQUE_ID');
        $token = getenv('PINGTREE_' . strtoupper($kind) . '_TOKEN');
        [$http, $answer] = call($url, "Authorization: Bearer $token", $body);
        return ['http' => $http] + $answer['data'];
    };
    $pinged = $send('ping', ATTRIBUTES);
    if ($pinged['leadStatus'] !== 'ping_accept') { // HTTP 201 says nothing: accept and reject both have it
        return $pinged;
    }
    $lead = ATTRIBUTES + PERSON + ['mobile' => PHONE, 'transaction_id' => $pinged['transaction_id']];
    if (isset($pinged['buyerTcpa'])) { // the consumer reads this text, and agrees
        usleep((int) (1_000_000 * (float) (getenv('READING_TIME') ?: '3')));
        $lead += ['tcpa_consent' => 'yes', 'tcpa_consent_date' => gmdate('Y-m-d\TH:i:s\Z')];
    }
    return $send('post', $lead);
}

/** Pings; ingests with the ping's token if the lead would be taken. */
function leaddistro(): array
{
    $ids = ['flo_campaign_id' => getenv('LEADDISTRO_CAMPAIGN_ID'), 'flo_supplier_id' => getenv('LEADDISTRO_SUPPLIER_ID')];
    $send = function (string $operation, array $body): array {
        $url = getenv('LEADDISTRO_URL') . "/api/v1/$operation";
        [$http, $answer] = call($url, 'x-api-key: ' . getenv('LEADDISTRO_API_KEY'), $body);
        return ['http' => $http] + $answer;
    };
    $lead = $ids + ['phone' => PHONE, 'state' => ATTRIBUTES['state']];
    $pinged = $send('ping', $lead);
    if (!($pinged['accepted'] ?? false)) {
        return $pinged;
    }
    return $send('ingest', $lead + PERSON + ['flo_ping_id' => $pinged['ping_id']]);
}

$outcomes = ['pingtree' => pingtree(), 'leaddistro' => leaddistro()];
echo json_encode($outcomes, JSON_THROW_ON_ERROR), "\n";
exit(array_intersect(array_column($outcomes, 'http'), [429, 500, 503]) ? 1 : 0);
